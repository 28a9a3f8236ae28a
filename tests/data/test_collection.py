"""Which sets a configuration means: those that are there, or those that are named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from hmlpe.data.boxes import BoxRule
from hmlpe.data.collection import box_rules, build_data_sets, configured_attributes
from hmlpe.errors import UserError
from hmlpe.settings import DataSettings

from .conftest import CONF, CROWD, write_flic

KNOWN = ["flic", "lsp", "buffy", "ethz", "sa", "waf"]


@cache
def composed(*choices: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("prepare", list(choices))


def configured(*overrides: str) -> DataSettings:
    """The data's settings under these overrides. To compose takes long, so values are set afterwards."""
    choices = [override for override in overrides if override.startswith(("+", "data="))]
    values = [override for override in overrides if override not in choices]
    return DataSettings.from_config(OmegaConf.merge(composed(*choices), OmegaConf.from_dotlist(values)).data, "data")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Holds FLIC, an empty folder of Buffy's name, a file of LSP's and something else."""
    write_flic(tmp_path / "sets" / "flic", CROWD)
    (tmp_path / "sets" / "buffy").mkdir()
    (tmp_path / "sets" / "other").mkdir()
    (tmp_path / "sets" / "lsp").write_text("not a folder")
    return tmp_path / "sets"


@pytest.fixture
def found(root: Path) -> Callable[..., tuple[list[str], list[str]]]:
    """Names of the sets that data=all finds below root, and of the others."""

    def names(*overrides: str) -> tuple[list[str], list[str]]:
        sets, absent = build_data_sets(configured("data=all", f"data.root={root}", *overrides))
        return [one.source.name for one in sets], absent

    return names


Found = Callable[..., tuple[list[str], list[str]]]


def refusal(call: Callable[..., Any], *given: Any) -> str:
    """The line that the programs print: Hydra wraps what a constructor raises (see `cli.app`)."""
    with pytest.raises((UserError, HydraException)) as raised:
        call(*given)
    error = raised.value if isinstance(raised.value, UserError) else raised.value.__cause__
    assert isinstance(error, UserError) and "\n" not in str(error)
    return str(error)


def test_a_configuration_of_one_set(root: Path) -> None:
    (one,), absent = build_data_sets(configured("data=flic", f"data.root={root / 'flic'}", "data.boxes.margin=0.25"))
    assert one.source.name == "flic" and len(one.source.people()) == len(CROWD) and absent == []
    assert one.boxes.as_dict() == {
        "train": "detection", "test": "detection", "factors": [3.5, 1.75, 1.75], "margin": 0.25, "aspect": None,
        "cover": True, "window_factors": [1.75, 0.32, 2.37],
    }  # fmt: skip


def test_the_default_needs_no_folder() -> None:
    (one,), absent = build_data_sets(configured("data.source.train=3", "data.source.test=2"))
    assert one.source.name == "embedded" and len(one.source.people()) == 5 and absent == []


def test_all_that_lie_in_subfolders(found: Found) -> None:
    assert found() == (["flic", "buffy"], ["lsp", "ethz", "sa", "waf"])


def test_all_six(tmp_path: Path) -> None:
    """Every known set opens from an empty folder of its name; what is in it is read later."""
    for name in KNOWN:
        (tmp_path / name).mkdir()
    sets, absent = build_data_sets(configured("data=all", f"data.root={tmp_path}"))
    assert [one.source.name for one in sets] == KNOWN and absent == []
    assert [Path(one.source.root) for one in sets] == [tmp_path / name for name in KNOWN]


def test_a_root_with_a_tilde(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    sets, _ = build_data_sets(configured("data=all", "data.root=~/sets", "data.sets=[flic]"))
    assert len(sets[0].source.people()) == len(CROWD)


def test_chosen_sets_in_their_order(found: Found) -> None:
    """Who is not chosen is absent, whether there or not."""
    assert found("data.sets=[buffy,flic]") == (["buffy", "flic"], ["lsp", "ethz", "sa", "waf"])
    assert found("data.sets=[flic]") == (["flic"], ["lsp", "buffy", "ethz", "sa", "waf"])


def test_a_chosen_set_must_be_there(found: Found, root: Path) -> None:
    message = refusal(found, "data.sets=[flic,ethz]")
    assert str(root / "ethz") in message and "no such folder" in message


@pytest.mark.parametrize("names", ["[flic,mpii]", "[mpii]", "[FLIC]"])
def test_an_unknown_name_says_which_there_are(found: Found, names: str) -> None:
    message = refusal(found, f"data.sets={names}")
    assert "data.sets" in message and repr(names.strip("[]").split(",")[-1]) in message
    assert all(name in message for name in KNOWN)


def test_no_root() -> None:
    message = refusal(build_data_sets, configured("data=all"))
    assert "data.root" in message and all(f"{name}/" in message for name in KNOWN)
    assert (
        "flic/" in (message := refusal(build_data_sets, configured("data=all", "data.sets=[flic]")))
        and "sa/" not in message
    )


@pytest.mark.parametrize("name", ["nowhere", "sets/other"])
def test_a_root_with_none_of_the_sets(root: Path, name: str) -> None:
    message = refusal(build_data_sets, configured("data=all", f"data.root={root.parent / name}"))
    assert name in message and all(f"{known}/" in message for known in KNOWN)


def test_a_root_that_is_a_number_is_a_folders_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra reads data.root=2014 as a number."""
    root.rename(root.with_name("2014"))
    monkeypatch.chdir(root.parent)
    sets, _ = build_data_sets(configured("data=all", "data.root=2014"))
    assert [one.source.name for one in sets] == ["flic", "buffy"]


def test_a_set_with_a_root_of_its_own(root: Path, tmp_path: Path) -> None:
    """It needs no subfolder, and is taken before one."""
    elsewhere = write_flic(tmp_path / "elsewhere", CROWD[:3])
    sets, absent = build_data_sets(configured("data=all", f"data.root={root}", f"data.known.flic.root={elsewhere}"))
    assert [one.source.name for one in sets] == ["flic", "buffy"] and "flic" not in absent
    assert len(sets[0].source.people()) == 3
    alone = configured("data=all", "data.sets=[flic]", f"data.known.flic.root={elsewhere}")
    assert len(build_data_sets(alone)[0][0].source.people()) == 3


def test_a_root_of_its_own_must_be_there(found: Found, tmp_path: Path) -> None:
    """Who names a folder means it: a wrong one is no absent set."""
    assert str(tmp_path / "typo") in refusal(found, f"data.known.waf.root={tmp_path / 'typo'}")


def test_a_set_that_needs_no_folder(found: Found) -> None:
    added = ["+set@data.known.embedded=embedded", "data.known.embedded.source.train=2"]
    assert found(*added) == (["flic", "buffy", "embedded"], ["lsp", "ethz", "sa", "waf"])
    sets, absent = build_data_sets(configured("data=all", "data.sets=[embedded]", *added))
    assert [one.source.name for one in sets] == ["embedded"] and absent == KNOWN


def test_a_source_of_another_name_is_refused(root: Path) -> None:
    """The pack would call its people by one name and the configuration by another."""
    given = ["data=all", "+set@data.known.mine=flic", "data.sets=[mine]", f"data.known.mine.root={root / 'flic'}"]
    message = refusal(build_data_sets, configured(*given))
    assert "data.known.mine" in message and "'flic'" in message


def test_each_set_has_its_boxes(root: Path) -> None:
    sets, _ = build_data_sets(configured("data=all", f"data.root={root}", "data.known.buffy.boxes.margin=0.5"))
    assert [one.boxes.train for one in sets] == ["detection", "window"]
    assert [one.boxes.margin for one in sets] == [0.05, 0.5]


def test_box_rules_are_those_of_the_sets_without_the_sets() -> None:
    """No root is given here; and the rules are what a manifest would hold."""
    data = configured("data=all", "data.known.lsp.boxes.margin=1")
    rules = box_rules(data, ["lsp", "buffy"])
    assert list(rules) == ["lsp", "buffy"]
    assert rules["lsp"] == BoxRule("truth", "detection", (1.0, 0.0, 0.0), 1.0, aspect=1.5).as_dict()
    assert rules["buffy"]["factors"] == [1.7, 0.0, 2.2]
    assert list(box_rules(data, ["flic", "gone"])) == ["flic"]  # a set that the configuration does not know
    assert box_rules(configured("data=flic"), ["flic"])["flic"]["factors"] == [3.5, 1.75, 1.75]


@pytest.mark.parametrize("override", ["data.known.flic.boxes.train=torso", "data.known.lsp.boxes.aspect=0"])
def test_a_bad_rule_of_one_set_is_refused_by_its_setting(found: Found, override: str) -> None:
    setting = override.partition("=")[0]
    assert refusal(found, override, "data.known.lsp.root=/").startswith(f"{setting}: ")
    name = setting.split(".")[2]
    assert refusal(box_rules, configured("data=all", override), [name]).startswith(f"{setting}: ")


def test_a_bad_attribute_is_refused_by_its_setting() -> None:
    for choice, name, setting in (("data=all", "flic", "data.known.flic.source"), ("data=flic", "any", "data.source")):
        tree = configured(choice).tree
        node = tree["known"]["flic"]["source"] if choice == "data=all" else tree["source"]
        node["attributes"] = {"age": 3}
        line = refusal(configured_attributes, DataSettings.from_config(tree, "data"), [name])
        assert line.startswith(f"{setting}.attributes.age: must be {{field: ...}}")
