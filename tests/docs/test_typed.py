"""README and the pages of docs/, typed by a stranger: every command, in order, from an empty folder, budgets cut."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..cli.test_own_set import annotation, documented
from ..programs import TINY, finish, run
from .pages import PAGES, Command, commands
from .stand_ins import RESULTS, write_files, write_sets

NET = [word for word in TINY if word.startswith(("network", "trainer."))]
DRAWN = [word for word in TINY if word.startswith("data.")]  # of the generated people
RUN = Path("outputs/flic/det_0.1_s1")  # that the pages name
SUPPOSED = {  # what one has made before, by README's commands
    "docs/evaluate.md": ["outputs/flic"],
    "docs/inspect.md": ["data", "outputs/flic", "outputs/weight_ablation"],
    "docs/predict.md": ["outputs/flic"],
    "docs/predictions.md": ["outputs/flic"],
    "docs/report.md": ["outputs/weight_ablation"],
}
MADE = {"PATH": f"{RUN}/checkpoints/model.ckpt", "…": f"{RUN}/checkpoints/model.ckpt", "FILE": RESULTS}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for /datasets."""
    root = tmp_path_factory.mktemp("datasets")
    write_sets(root)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, datasets: Path) -> Path:
    """Where README's first commands were typed: outputs/flic, and outputs/weight_ablation."""
    folder = tmp_path_factory.mktemp("made")
    for line in (
        "hmlpe-prepare data=flic data.root=/datasets/FLIC",
        "hmlpe-train experiment=flic logger=csv",
        "hmlpe-prepare",
        "hmlpe-train -m experiment=weight_ablation logger=csv",
    ):
        command = Command("README.md", line)
        finish(command.program, *typed(command, datasets), folder=folder)
    return folder


def typed(command: Command, datasets: Path) -> list[str]:
    """The words, with the stand-ins' places, and those that cut the budget."""
    words = [word.replace("/datasets", str(datasets)) for word in command.words[1:]]
    for placeholder, there in MADE.items():
        words = [word.replace(f"={placeholder}", f"={there}") for word in words]
    given = {word.partition("=")[0] for word in words}
    cut = {
        "prepare": DRAWN if not given & {"data", "experiment"} else [],
        "train": [*NET, "epochs=1", "optim.batch_size=8", *([] if "data" in given else ["data.subset=40"])],
        "evaluate": ["bootstrap.draws=20"],
        "export": ["rounds=1"],
        "inspect": ["draws=19", "persons=1"],
        "demo": ["port=0"],
        "report": ["port=0"],
    }.get(command.program, [])
    if "experiment=weight_ablation" in words:
        cut = [*cut, "row=regression_only,det_1", "seed=1"]
    if "experiment=weight_search" in words:
        cut = [*cut, "hydra.sweeper.n_trials=2"]
    if command.program == "train" and command.page != "docs/tracking.md":
        cut = [*cut, "logger=csv"]
    return [*words, *(word for word in cut if word.partition("=")[0] not in given)]


def cannot(command: Command) -> str:
    """Why a command is not typed here; empty if it is."""
    if not command.program:
        return "another's program, or make"
    if any(word.startswith(("hydra/launcher=submitit", "hydra/launcher=ray")) for word in command.words):
        return "a cluster: tests/cluster has one"
    if {"logger.mode=online", "publish=true"} & set(command.words):
        return "the network"
    if "experiment=weight_search" in command.words and not find_spec("hydra_plugins.hydra_optuna_sweeper"):
        return "an extra"
    return ""


def served(command: Command, words: list[str], folder: Path) -> None:
    """Start what serves a page; Ctrl-C ends it."""
    program = [sys.executable, "-u", "-m", f"hmlpe.cli.{command.program}", *words]
    with subprocess.Popen(
        program, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    ) as server:
        assert server.stdout is not None
        said = next((line for line in iter(server.stdout.readline, "") if "Ctrl-C ends it" in line), None)
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 130 and said, command


def write_own_set(folder: Path) -> None:
    """What docs/data.md supposes of a set of one's own: the file that it shows, photos and labels."""
    rng = np.random.default_rng(0)
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(documented(), encoding="utf-8")
    (folder / "photos").mkdir()
    names = [f"dog {number}.png" for number in range(60)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)).save(folder / "photos" / name)
    keypoints = ["tail", "nose", "left_ear_base", "left_ear_tip", "right_ear_base", "right_ear_tip"]
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "categories": [{"id": 1, "name": "dog", "keypoints": keypoints}],
        "annotations": [annotation(number, rng) for number in range(60)],
    }
    (folder / "labels.json").write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_as_typed(page: str, tmp_path: Path, datasets: Path, made: Path) -> None:
    write_files(tmp_path, datasets)
    if page == "docs/data.md":
        write_own_set(tmp_path)
    for folder in SUPPOSED.get(page, []):
        shutil.copytree(made / folder, tmp_path / folder)
    shutil.copy(made / RUN / "checkpoints" / "model.ckpt", tmp_path)
    for command in commands(page):
        if cannot(command):
            continue
        words = typed(command, datasets)
        if command.program == "demo" or "watch=true" in words:
            served(command, words, tmp_path)
            continue
        done = run(command.program, *words, folder=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
