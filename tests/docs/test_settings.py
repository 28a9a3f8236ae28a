"""Every command of README and docs composes, and every setting that they name is one."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from hmlpe.cli.app import CONFIGS
from hmlpe.cli.command_line import to_hydra_arguments

from ..cli.test_own_set import documented
from ..test_project import SCRIPTS
from .pages import PAGES, Command, commands, inline

EXAMPLE = Path(__file__).parents[2] / "examples" / "facing" / "conf"
SHOWN = [command for page in PAGES for command in commands(page)]
TYPED = [command for command in SHOWN if command.program]
TRAIN = re.compile(r"-m hmlpe\.cli\.train ([^'`]*)")  # what torchrun starts
FLAGS = {"-m", "--check", "--config-dir=."}
# As cli/app.py does, where the extras of clusters are installed.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
PROGRAMS = [name.removeprefix("hmlpe-").replace("-", "_") for name in SCRIPTS]
CONTEXTS = {  # that some settings need
    "train": [
        [], ["balance=scheduled"], ["hydra/launcher=isolated"], ["hydra/launcher=submitit_slurm"],
        ["hydra/launcher=ray"], ["data=all"], ["data=flic"], ["data=coco", "data.name=x"],
    ],
    "evaluate": [[f"predictions_form={form}"] for form in ("matrix", "csv", "buffy")] + [
        ["detector=given"], ["detector=cascade"]],
}  # fmt: skip


def composed(program: str, words: list[str], own: Path | None = None) -> DictConfig:
    """The configuration that the program would get; of a sweep that of its first job."""
    found = [word for word in to_hydra_arguments(words) if word not in FLAGS]
    if own is not None:
        found.append(f"hydra.searchpath=[file://{own}]")
    if "-m" in words:
        parsed = OverridesParser.create().parse_overrides(found)
        found = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0][0]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(program, found, return_hydra_config=True)
    OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), resolve=True)
    return config


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of docs/data.md's set of one's own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(documented(), encoding="utf-8")
    return folder


def test_there_are_commands_on_every_page() -> None:
    others = {"docs/extending.md", "docs/python.md", "docs/facts.md"}  # diffs, Python (test_python.py runs it), tables
    assert {command.page for command in TYPED} == set(PAGES) - others
    assert len(TYPED) > 40


@pytest.mark.parametrize("command", TYPED, ids=str)
def test_a_command_composes(command: Command, own: Path) -> None:
    assert f"hmlpe-{command.program.replace('_', '-')}" in SCRIPTS
    words = command.words[1:]
    if "experiment=weight_search" in words and not find_spec("hydra_plugins.hydra_optuna_sweeper"):
        words.append("hydra/sweeper=basic")  # its own is an extra
        words.remove("experiment=weight_search")
    composed(command.program, words, own if "--config-dir=." in words else None)


def test_what_torchrun_starts_composes_and_is_over_devices() -> None:
    texts = [text for page in PAGES for text in (*inline(page), *(command.text for command in commands(page)))]
    found = [match[1].split() for text in texts for match in TRAIN.finditer(text)]
    assert len(found) >= 3
    for words in found:
        assert composed("train", words).trainer.devices == "auto", words  # trainer=ddp


@cache
def everything() -> list[DictConfig]:
    """The configurations of all programs, in all contexts."""
    return [composed(program, words) for program in PROGRAMS for words in ([], *CONTEXTS.get(program, [])[0:])]


def is_setting(key: str, value: str) -> bool:
    """Whether there is one of that name; of a group of configurations, the choice too."""
    name = key.partition("@")[0].lstrip("+")
    group, example = CONFIGS / name, EXAMPLE / name
    if group.is_dir():
        choices = value.strip("[]").split(",") if value.strip("[]") != "…" else []
        return all(
            one in ("", "…", "null", "basic", "mine")
            or any((folder / f"{one}.yaml").is_file() for folder in (group, example))
            for one in choices
        )
    parent, _, name = key.lstrip("+").rpartition(".")
    nodes = [OmegaConf.select(config, parent) if parent else config for config in everything()]
    return any(isinstance(node, DictConfig) and (key[0] == "+" or name in list(node)) for node in nodes)


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_in_the_text_is_one(page: str) -> None:
    unknown = []
    for code in inline(page):
        for word in shlex.split(code.replace("'", "")):
            key, equals, values = word.partition("=")
            if not equals or not re.fullmatch(r"[+a-z][\w./@+]*", key) or key.isupper():
                continue
            options = values.split("|") if re.fullmatch(r"[\w|.-]+", values) else [values]
            if not all(is_setting(key, value) for value in options):
                unknown.append(word)
    assert not unknown
