"""A sweep whose rows are each trained over two processes gives what the same rows give when typed alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hmlpe.cli.app import CONFIGS

from ..programs import TINY as SMALLEST
from ..programs import of_packs

LAUNCHER = "isolated"
ROWS = ("regression_only", "det_0.1")
TINY = [*SMALLEST, "data.source.test=13", "trainer.precision=32-true", "logger=csv", "epochs=2"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_rows_of_a_sweep_over_two_processes_are_those_typed_alone(tmp_path: Path) -> None:
    config = CONFIGS / "hydra" / "launcher" / f"{LAUNCHER}.yaml"
    assert config.is_file(), f"hydra/launcher={LAUNCHER}, under which alone such a sweep is allowed, is not here"

    def call(program: str, *overrides: str, flags: tuple[str, ...] = ()) -> str:
        paths = [f"paths.data={tmp_path / 'data'}", f"paths.outputs={tmp_path / 'outputs'}"]
        tiny = of_packs(*TINY) if program == "prepare" else TINY
        command = [sys.executable, "-m", f"hmlpe.cli.{program}", *flags, *paths, *tiny, *overrides]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    call("prepare")
    said = call("train", f"row={','.join(ROWS)}", "study=swept", f"hydra/launcher={LAUNCHER}", *two, flags=("-m",))
    ends = [line for line in said.splitlines() if " finished after " in line]
    assert len(ends) == len(ROWS) and all(", regression 0." in line for line in ends)  # as the first rank has told
    for row in ROWS:
        call("train", f"row={row}", "study=alone", *two)
        swept, alone = (tmp_path / "outputs" / study / f"{row}_s1" for study in ("swept", "alone"))
        one, other = (json.loads((run / "result.json").read_text()) for run in (swept, alone))
        assert one["status"] == "finished" and one["row"] == row
        for part in ("metrics", "mean_pose", "identity", "steps", "weights"):
            assert one[part] == other[part], (row, part)
        weights = [
            torch.load(run / "checkpoints" / "model.ckpt", weights_only=True)["state_dict"] for run in (swept, alone)
        ]
        assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items()), row
