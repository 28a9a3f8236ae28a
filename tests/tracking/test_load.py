"""What of W&B's environment a sweep does not take over."""

import os

import pytest

from hmlpe.tracking.load import forget_one_run


def test_what_is_of_one_run_is_dropped_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("WANDB_RUN_ID", "WANDB_RESUME_FROM", "WANDB_API_KEY", "WANDB_ENTITY"):
        monkeypatch.setenv(name, "mine")
    forget_one_run()
    assert {"WANDB_API_KEY", "WANDB_ENTITY"} < os.environ.keys() and "WANDB_RUN_ID" not in os.environ
    assert caplog.messages == [
        "WANDB_RUN_ID, WANDB_RESUME_FROM: ignored, as it is of one W&B run, and every run of a sweep is its own"
    ]
    forget_one_run()
    assert len(caplog.messages) == 1
