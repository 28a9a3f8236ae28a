"""The digest of the code: words change nothing, all else does."""

from __future__ import annotations

import io
import json
import sys
import tokenize
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.runs.folder import RunState, read_run_state
from hmlpe.training import provenance
from hmlpe.training.settings import TrainSettings

LINES = {  # what a line becomes
    '"""A module: # no comment."""': "",
    "import re  # a comment with \"quotes\" and '''": "import re",
    "": "",
    "# 'one' alone": "",
    'NAME = "# kept" + \'"#\' + r"\\\\#" + f"{1}#"  # "': 'NAME = "# kept" + \'"#\' + r"\\\\#" + f"{1}#"',
    'TEXT = """kept # here': 'TEXT = """kept # here',
    "''' # and here": "''' # and here",
    '"""  # gone': '"""',
    "class Thing:": "class Thing:",
    '    """Words over': "",
    '    two lines é."""; x = 1': "    ; x = 1",
    "    def f(self):": "    def f(self):",
    "        'Words.'": "",
    "        if self:": "        if self:",
    '            async def g(): "Words"; return "é # kept"  # é': '            async def g(): ; return "é # kept"',
}


def test_words_go_and_nothing_else_does() -> None:
    assert provenance.strip_comments("\n".join(LINES)) == "\n".join(filter(None, LINES.values()))


def test_comments_are_those_of_the_language() -> None:
    for path in provenance.PACKAGE.rglob("*.py"):
        source = path.read_text("utf-8")
        if "#" not in source:
            continue
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
        found = [one["comment"] for one in provenance._STRING_OR_COMMENT.finditer(source)]
        assert [one for one in found if one is not None] == comments, path


def test_what_is_left_out_is_there() -> None:
    for name in provenance.NOT_IN_CODE_DIGEST:
        assert (provenance.PACKAGE / name).exists(), name


BALANCE = """from hmlpe.balance import FixedWeights
class Mine(FixedWeights):
    '''Mine.'''
"""


def settings_of(*words: str) -> TrainSettings:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return TrainSettings.from_config(compose("train", [*words]))


def test_a_changed_package_of_ones_own_makes_its_results_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read, not imported: what is no Python is taken as it stands."""
    monkeypatch.syspath_prepend(tmp_path)
    package, module = tmp_path / "mine_alone", tmp_path / "mine_alone" / "below" / "balance.py"
    module.parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError\n")
    (package / "template.py").write_text("{{ not Python }}\n")
    (tmp_path / "single.py").write_text("x = 1\n")
    words = ["balance._target_=mine_alone.below.balance.Mine", "+metrics.regression.x={_target_: single.Metric}"]
    settings = settings_of(*words, "+metrics.regression.y={_target_: nowhere.Metric}")

    def look(source: str) -> RunState:
        module.write_text(source)
        provenance.package_digest.cache_clear()
        return read_run_state(tmp_path, provenance.run_identity(settings, "data"))

    assert look(BALANCE).kind == "missing"
    own = provenance.user_code_digests(settings)
    assert list(own) == ["mine_alone", "single"] and "mine_alone" not in sys.modules
    identity = provenance.run_identity(settings, "data")
    (tmp_path / "result.json").write_text(json.dumps({"status": "finished", "identity": identity}))
    assert look(BALANCE).kind == "finished"
    assert look(BALANCE.replace("Mine.", "My own.\f") + "# words\n").kind == "finished"
    assert look(BALANCE + "    bias = 1\n").describe() == "stale (made with different own_code)"
    assert provenance.run_provenance(settings, "data", "32-true")["own_code"]["single"] == own["single"]


def test_runs_of_this_package_alone_are_known_as_before() -> None:
    settings = settings_of()
    assert list(provenance.run_identity(settings, "data")) == ["code", "data", "config", "start", "seed"]
    assert "own_code" not in provenance.run_provenance(settings, "data", "32-true")
