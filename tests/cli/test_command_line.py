"""Paths as users have them, in every program: ~, umlauts, brackets, commas, signs of equality."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.cli.command_line import READ_BY_HYDRA, to_hydra_arguments

from ..programs import run

ODD = "Jürgen's [new] run=3, (1) {x}"  # a folder
PLACES = {  # of each program, a setting that is a path, and others that it needs
    "prepare": ["data.root", "data=flic"],
    "train": ["paths.data"],
    "evaluate": ["predictions", "data=embedded"],
    "predict": ["checkpoint", "source=a.jpg"],
    "export": ["checkpoint"],
    "demo": ["checkpoint"],
    "report": ["paths.outputs", "study=s"],
    "dashboard": ["paths.outputs", "study=s"],
    "fit_box": ["data.root", "data=flic"],
    "fit_detector": ["data.root", "data=flic"],
    "bench": ["paths.data"],
}


def value_of(word: str, several: bool = False) -> object:
    """What Hydra reads."""
    (found,) = to_hydra_arguments([*(["-m"] if several else []), word])[int(several) :]
    override = OverridesParser.create().parse_override(found)
    return list(override.sweep_string_iterator()) if override.is_sweep_override() else override.value()


@pytest.mark.parametrize("program", PLACES)
def test_every_program_takes_any_path(program: str, tmp_path: Path) -> None:
    """There is nothing, and the error names the whole path."""
    key, *others = PLACES[program]
    done = run(program, f"{key}=~/{ODD}/there", *others, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert str(Path.home() / ODD / "there") in done.stderr.splitlines()[-1], done.stderr
    assert "hydra.cc" not in done.stderr


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("data.root=~/FLIC", "/home/me/FLIC"),
        ("data.root='~/FLIC'", "/home/me/FLIC"),
        ('paths.data="~/my packs"', "/home/me/my packs"),
        ("paths.outputs=~", "/home/me"),
        ("checkpoint=~/a,b/model.ckpt", "/home/me/a,b/model.ckpt"),
        ("study=~/x", "/home/me/x"),
        ("data.root=~nobody_of_that_name/x", "~nobody_of_that_name/x"),
        ("source=[~/a.jpg,Jürgen (1).jpg]", ["/home/me/a.jpg", "Jürgen (1).jpg"]),
        ("+data.known.mine.root=Jürgen", "Jürgen"),
        ("data.source.table=labels (2).csv", "labels (2).csv"),
        ("data.source.train=labels (2).json", "labels (2).json"),
        ("method=Müller & Söhne", "Müller & Söhne"),
        ("row.name=größer", "größer"),
        ("checkpoint=a\\b", "a\\b"),
        ("out=true", "true"),
        # and what is Hydra's stays so
        ("seed=3", 3),
        ("source=0", 0),
        ("checkpoint=null", None),
        ("data.sets=[flic,buffy]", ["flic", "buffy"]),
        ("detector.to_window={shift: 0, top: 0.5}", {"shift": 0, "top": 0.5}),
        ("folder=${paths.outputs}/x", "${paths.outputs}/x"),
        ("data.root='a b'", "a b"),
    ],
)
def test_a_value_is_what_was_meant(word: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = value_of(word)
    assert (found if not hasattr(found, "text") else found.text) == value


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("checkpoint=~/a.ckpt,Jürgen (1)/b.ckpt", ['"/home/me/a.ckpt"', '"Jürgen (1)/b.ckpt"']),
        ("row=det_1,det_10", ["det_1", "det_10"]),
        ("seed=1,2", ["1", "2"]),
        ("data.test_sets=[flic,lsp],[buffy]", ["[flic,lsp]", "[buffy]"]),
        ("epochs=choice(1,2)", ["1", "2"]),
        ("seed=range(1,3)", ["1", "2"]),
        ("checkpoint=choice(a/model.ckpt,b/model.ckpt)", ["a/model.ckpt", "b/model.ckpt"]),
        ("paths.data=photos(1),photos(2)", ['"photos(1)"', '"photos(2)"']),
        ("source=a.jpg,'b,c.jpg'", ["a.jpg", "'b,c.jpg'"]),
    ],
)
def test_in_a_sweep_a_comma_stands_between_two(word: str, values: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert value_of(word, several=True) == values


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1))
def test_any_text_is_a_path(text: str) -> None:
    if READ_BY_HYDRA.fullmatch(text) or text.startswith("~"):
        return
    found = value_of(f"paths.data={text}")
    assert getattr(found, "text", found) == text


def test_a_file_of_that_name_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("7", "[a]", "null", "a,b"):
        (tmp_path / name).touch()
        assert getattr(value_of(f"source={name}"), "text", value_of(f"source={name}")) == name
    assert value_of("seed=7") == 7
    assert getattr(found := value_of("source=a,b", several=True), "text", found) == "a,b"


def test_flags_stand_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    words = ["seed=1,2", "-m", "experiment=mine", "--config-dir=~/x", "--config-dir", "~/a=b", "row=det_1"]
    assert to_hydra_arguments(words) == [
        "-m", "--config-dir=/home/me/x", "--config-dir", "/home/me/a=b", "seed=1,2", "experiment=mine", "row=det_1",
    ]  # fmt: skip
