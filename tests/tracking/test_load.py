"""What of W&B's environment a sweep does not take over."""

import os

import pytest

from hmlpe.tracking.load import remove_single_run_variables


def test_what_is_of_one_run_is_dropped_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("WANDB_RUN_ID", "WANDB_RESUME_FROM", "WANDB_API_KEY", "WANDB_ENTITY"):
        monkeypatch.setenv(name, "mine")
    remove_single_run_variables()
    assert {"WANDB_API_KEY", "WANDB_ENTITY"} < os.environ.keys() and "WANDB_RUN_ID" not in os.environ
    assert caplog.messages == [
        "WANDB_RUN_ID, WANDB_RESUME_FROM: ignored, as it selects one W&B run, but every run of a sweep has its own"
    ]
    remove_single_run_variables()
    assert len(caplog.messages) == 1
