"""`--help` says what a program does, in lines that are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hmlpe.cli.command_line import CONFIGS
from hmlpe.cli.help import help_of, settings_of

from ..test_project import ROOT, SCRIPTS
from .test_settings import composed

PROGRAMS = {script: script.removeprefix("hmlpe-").replace("-", "_") for script in SCRIPTS}
PARTS = ("\nSettings:\n", "\nWrites: ", "\nExit codes: 0", "\nMore: ", "\nSettings are given as name=value")


@pytest.mark.parametrize("script", PROGRAMS)
def test_it_is_one_page_that_names_every_setting_and_what_it_is(script: str) -> None:
    text = help_of(PROGRAMS[script], width=100)
    assert text.startswith(f"{script}: ") and len(text.splitlines()) <= 65
    assert max(map(len, text.splitlines())) <= 120
    assert [part for part in PARTS if part not in text] == []
    for one in settings_of((CONFIGS / f"{PROGRAMS[script]}.yaml").read_text("utf-8")):
        assert re.search(rf"^  {re.escape(one.name)}(=| |$)", text, re.MULTILINE), one.name
        assert one.comment, f"conf/{PROGRAMS[script]}.yaml says nothing of {one.name}"
        if one.value == "???":
            assert text.index("\nNeeded:\n") < text.index(f"\n  {one.name} ") < text.index("\nSettings:\n")
    often = re.search(r"^# Often: (.*)$", (CONFIGS / f"{PROGRAMS[script]}.yaml").read_text("utf-8"), re.MULTILINE)
    for word in often[1].split() if often else []:
        assert re.search(rf"^  {re.escape(word)}(=| |$)", text, re.MULTILINE), f"often used, and not there: {word}"
    pages = re.search(r"^More: (.*)$", text, re.MULTILINE)
    assert pages and all((ROOT / page).is_file() for page in pages[1].split(", "))


@pytest.mark.parametrize("script", PROGRAMS)
def test_its_examples_compose(script: str) -> None:
    lines = re.findall(rf"^  ({script}\b.*)$", help_of(PROGRAMS[script]), re.MULTILINE)
    assert lines
    for line in lines:
        composed(PROGRAMS[script], shlex.split(line, comments=True)[1:])


def test_settings_are_read_with_their_comments_above_beside_and_below() -> None:
    text = """\
# program: does something
defaults:
  - train
  - _self_

# This stands
# above.
above: 1
beside: [1, 2]           # as such
below: ${beside}         # and
                         # goes on
block:                   # as a whole
  inner: null            # of it
  deep:
    _target_: some.thing
    number: 3            # deeper
hydra:
  job:
    name: x
"""
    assert [tuple(one) for one in settings_of(text)] == [
        ("above", "1", "This stands above."),
        ("beside", "[1, 2]", "as such"),
        ("below", "${beside}", "and goes on"),
        ("block.inner", "null", "of it"),
        ("block.deep.number", "3", "deeper"),
    ]


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["row=det_1", "--help"]])
def test_it_is_quick_and_starts_nothing(words: list[str], tmp_path: Path) -> None:
    """Torch is not loaded for it, and no folder made."""
    code = "import sys; from hmlpe.cli.train import main; main(); assert 'torch' not in sys.modules, 'slow'"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("hmlpe-train: ")
    assert not list(tmp_path.iterdir())
