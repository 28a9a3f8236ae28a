"""A folder of one's own, given by --config-dir: its files are configurations, its other folders are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hydra.plugins.config_source import ConfigLoadError
from omegaconf import OmegaConf

from hmlpe.cli.command_line import CONFIGS, FileConfigSource, plain_setting_names

from ..programs import TINY, run

MINE = """# @package _global_
defaults:
  - override /augment: mine
study: mine
paths:
  outputs: ~/of hmlpe's test/outputs
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One that holds a folder for each setting, beside two groups of configurations."""
    for name in (*plain_setting_names(), "row.name"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("study: theirs\n")  # a run's own, say
    for name, text in (("experiment", MINE), ("augment", "mirror: true\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.yaml").write_text(text)
    return tmp_path


def test_a_folder_named_like_a_setting_is_no_group(folder: Path) -> None:
    words = ["--config-dir=.", "experiment=mine", "seed=2", "study=other", "row.name=x", "epochs=3"]
    done = run("train", *words, "--cfg", "job", folder=folder)
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load(done.stdout)
    assert [config[key] for key in ("seed", "study", "epochs")] == [2, "other", 3] and config["row"]["name"] == "x"
    assert config["augment"]["mirror"] is True  # of its own group
    assert config["paths"]["outputs"] == str(Path.home() / "of hmlpe's test/outputs")


@pytest.mark.parametrize(
    ("program", "word", "error"),
    [
        ("train", "init_from=checkpoint/model.ckpt", "checkpoint/model.ckpt: there is no such file"),
        ("evaluate", "predictions=predictions/theirs.csv", "predictions/theirs.csv: no such file"),
        ("predict", "source=source/a.jpg", "checkpoint: is not given"),
        ("report", "study=study", "study: no such study folder"),
    ],
)
def test_files_in_such_folders_can_be_named(program: str, word: str, error: str, folder: Path, data: Path) -> None:
    words = ["--config-dir=.", word, *([f"paths.data={data}"] if program == "train" else [])]
    words += ["data=flic"] if program == "evaluate" else []
    done = run(program, *words, folder=folder)
    assert done.returncode == 2 and error in done.stderr, done.stderr


def test_in_a_sweep_too(folder: Path, data: Path) -> None:
    words = ["--config-dir=.", "-m", f"paths.data={data}", "seed=1,2", "hydra/launcher=basic", "sweep.dry_run=true"]
    done = run("train", *words, *TINY, folder=folder)
    assert done.returncode == 0 and "det_0.1_s2: missing" in done.stdout + done.stderr, done.stderr


def test_a_file_is_read_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    file, source = tmp_path / "own.yaml", FileConfigSource("main", f"file://{tmp_path}")
    file.write_text("place: ~/x\n")
    first = source.load_config("own")
    assert not first.config.place.startswith("~")
    first.config.place = "changed by Hydra"
    inode = file.stat()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", None)  # not parsed again
        assert source.load_config("own").config.place != "changed by Hydra"
    file.write_text("place: /elsewhere\n")
    os.utime(file, ns=(inode.st_atime_ns, inode.st_mtime_ns + 1))
    assert source.load_config("own").config.place == "/elsewhere"
    file.unlink()
    with pytest.raises(ConfigLoadError, match="own"):
        source.load_config("own")


def test_the_settings_are_those_of_all_programs_and_no_groups() -> None:
    names = plain_setting_names()
    assert {"study", "seed", "checkpoint", "predictions", "source", "out", "method", "port", "stages"} <= names
    assert not {path.name for path in CONFIGS.iterdir() if path.is_dir()} & names
