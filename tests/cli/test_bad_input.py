"""Bad input that Python, NumPy or the file system notices: one line, exit code 2, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..programs import TINY, run

LONG = "x" * 300


@pytest.mark.parametrize(
    ("program", "words", "error"),
    [
        ("train", ["seed=4294967296"], "seed: must be a whole number from 0 to 4294967295, got 4294967296"),
        ("train", ["seed=4294967296", "sweep.dry_run=true"], "seed: must be a whole number from 0 to 4294967295"),
        ("train", ["data.validation.seed=-1"], "data.validation.seed: must be a whole number of at least 0, got -1"),
        (
            "train",
            [f"row.name={LONG}"],
            "row.name: is too long for a folder name: 303 bytes with its seed, at most 255",
        ),
        ("train", [f"study={LONG}"], "File name too long; choose a shorter name"),
        ("train", ["paths.outputs=file"], "Not a directory; choose another place: a part of this path is a file"),
        ("train", ["paths.outputs=loop"], "loop"),
        ("train", ["paths.outputs="], "paths.outputs: is empty; it must be a folder"),
        ("prepare", ["paths.data="], "paths.data: is empty; it must be a folder"),
        ("train", ["study="], "study: is empty; it must be the name of a folder below"),
        ("train", ["study=../x"], "study: must be the name of a folder below paths.outputs, got '../x'"),
        ("train", ["paths.outputs=/proc/x"], "choose another place: no folder can be made there"),
        ("prepare", ["paths.data=/proc/x"], "choose another place: no folder can be made there"),
        ("train", ["row=null"], "row=null: choose one of a group of settings by its name: GROUP=NAME"),
        ("train", ["optim=[1]", "-m"], "optim=[1]: choose one of a group of settings by its name: GROUP=NAME"),
        ("train", ["init_from=gone.ckpt"], "init_from: gone.ckpt: there is no such file"),
        ("train", ["init_from=folder"], "init_from: folder: there is no such file"),
        ("prepare", ["paths.data=file"], "Not a directory; choose another place: a part of this path is a file"),
        ("prepare", [f"paths.data={LONG}"], "File name too long; choose a shorter name"),
        ("report", ["study=x", "paths.outputs=file"], "file/x: no such study folder"),
        ("fit_box", ["data=flic", "data.root=file"], "file"),
        ("export", ["checkpoint=folder"], "folder"),
        ("prepare", ["trainer.devices=8"], "trainer.devices: hmlpe-prepare has no such setting; it has data, "),
        ("prepare", ["row=det_1"], "row: hmlpe-prepare has no such setting"),
        (
            "fit_box",
            ["epochs=3"],
            "epochs: hmlpe-fit-box has no such setting; it has data, experiment, out, ",
        ),
        ("fit_detector", ["seed=2"], "seed: hmlpe-fit-detector has no such setting"),
        ("report", ["study=x", "trainer.devices=8"], "trainer.devices: hmlpe-report has no such setting"),
        ("report", ["study=x", "+epochs=8"], "epochs: there is no such setting; there are paths, study, "),
        ("dashboard", ["study=x", "logger.mode=online"], "logger.mode: hmlpe-dashboard has no such setting"),
        ("train", ["+checkpoint=x.ckpt"], "checkpoint: this setting is called init_from"),
        ("predict", ["out=", "checkpoint=x", "source=y"], "out: is empty; it must be a folder"),
        ("train", ["seed"], "seed: cannot be read; a setting is given as NAME=VALUE"),
        ("train", ["se ed=3"], "se ed=3: cannot be read; a setting is given as NAME=VALUE"),
        (
            "train",
            ["seed=1,2"],
            "seed=1,2: several values: -m runs them one by one; a list is seed=[1,2], a text seed=",
        ),
        ("train", ["-m", "seed=1,2,"], "seed=1,2,: cannot be read; quote what is in it"),
        ("train", ["sed=3"], "sed: hmlpe-train has no such setting; did you mean seed?"),
        ("train", ["optim.optimizer.momentum=0.8"], "optim.optimizer.momentum: hmlpe-train has no such setting; list"),
        ("train", ["row.weights.detecton=1"], "did you mean row.weights.detection?; +row.weights.detecton=VALUE adds"),
        ("train", ["network.head.hiden=[1]"], "no such setting; did you mean network.head.hidden?"),
        ("prepare", ["epoch=3"], "epoch: hmlpe-prepare has no such setting; list them all: hmlpe-prepare --cfg job"),
        ("train", ["optim.groups.lrr=3"], "no such setting; did you mean optim.groups.lr?"),
        ("train", ["xyzzy=3"], "xyzzy: hmlpe-train has no such setting; list them all: hmlpe-train --cfg job"),
        ("predict", ["chekpoint=x"], "chekpoint: hmlpe-predict has no such setting; did you mean checkpoint?"),
        ("train", ["row=det"], "row=det: there is no such configuration; there are det_0.0001, "),
        ("evaluate", ["protocol=[pck]"], "protocol=pck: there is no such configuration; there are pcp_official, "),
    ],
)
def test_it_is_one_line(program: str, words: list[str], error: str, tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    given = [*TINY, f"paths.data={data}", "logger=csv", "epochs=1"] if program == "train" else []
    given = [word for word in TINY if word.startswith("data.")] if program == "prepare" else given
    done = run(program, *given, *words, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and error in line
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"file"}
    assert not list(tmp_path.glob("outputs/*"))  # nor an empty folder


def test_what_is_said_twice_or_added_is_told_and_counts(tmp_path: Path, data: Path) -> None:
    """Hydra takes the last silently, and adds what nobody reads."""
    words = [*TINY, f"paths.data={data}", "logger=csv", "seed=1", "seed=7", "+sed=3", "+note=3", "sweep.dry_run=true"]
    done = run("train", *words, folder=tmp_path)
    assert done.returncode == 0 and "det_0.1_s7: missing" in done.stdout + done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("warning: ")] == [
        "warning: seed: is given 2 times; the last counts: seed=7",
        "warning: +sed: adds a setting that hmlpe-train does not have; did you mean seed?",
    ]
    done = run("train", "-m", *words, folder=tmp_path)
    assert "warning: seed: is given 2 times\n" in done.stderr, "both are swept"
