"""Records and the comparison of methods."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.errors import UserError
from hmlpe.evaluate.protocols import share_info
from hmlpe.evaluate.record import Record, read_records, write_record
from hmlpe.evaluate.write import (
    TableRow,
    record_summary,
    render_csv,
    render_markdown,
    table_rows,
    write_comparison,
    write_evaluation,
)
from hmlpe.report.published import check_published

from .conftest import CONF

MODEC = {
    "method": "Other 2013", "people": 1016, "source": "its files", "sides": "image",
    "scores": {"pdj_modec_elbow@0.20": 0.755},
}  # fmt: skip
PERSON = {**MODEC, "method": "Person 2016", "sides": "person", "source": "another file"}


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "method": "flic/det_0.1_s1",
        "data": "flic",
        "boxes": "given",
        "people": "whole",
        "counted": 766,
        "detected": 766,
        "annotated": 1016,
        "without_image": 250,
        "sides": "image",
        "scores": {"pdj_modec_elbow@0.20": [0.7, 0.68, 0.72], "pcp_strict_upper_arm": [0.8, None, None]},
        "curves": {"pdj_modec": {"elbow": {"0.10": [0.3, 0.2, 0.4], "0.20": [0.7, 0.68, 0.72]}}},
        "not_applicable": {"pcp_official": "nobody is detected"},
        "ranking": {},
        "notes": "",
        "identity": {"method": "abc", "data": "def"},
        "settings": {"pdj_modec": "p", "pcp_strict": "s", "labels": "l", "intervals": "i"},
    }
    values |= changes
    infos = {name: share_info(*name.rpartition("_")[::2]) for name in values["scores"]}
    protocols = {name: "_".join(name.split("_")[:2]) for name in infos}
    told = {
        "described": {
            name: info.model_copy(update={"section": protocols[name]}).model_dump(mode="json", exclude_defaults=True)
            for name, info in infos.items()
        },
        "axes": {protocol: ["threshold", "share"] for protocol in values["curves"]},
    }
    return Record(**{**told, **values})


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_methods_share_a_table_and_protocols_no_column() -> None:
    other = record(method="six parts", scores={"pcp_official_upper_arm": [0.9, 0.8, 1.0]})
    rows = rows_of(render_csv(table_rows([record(), other], [MODEC])))
    assert [row["method"] for row in rows] == ["Other 2013", "flic/det_0.1_s1", "six parts"]
    assert [row["pdj_modec_elbow@0.20"] for row in rows] == ["0.755000", "0.700000", ""]
    assert [row["pcp_official_upper_arm_low"] for row in rows] == ["", "", "0.800000"]
    assert rows[0]["boxes"] == "published" and rows[0]["people"] == "1016" and rows[1]["people"] == "766, whole"
    protocols = ("pdj_modec_", "pcp_strict_", "pcp_official_")
    assert all(name.startswith(protocols) for name in rows[0] if name not in ("method", "boxes", "people"))


def test_the_markdown_has_a_table_for_each_protocol() -> None:
    text = render_markdown("flic", table_rows([record()], [MODEC]), ["a note"], record().infos)
    assert "## pdj_modec" in text and "## pcp_strict" in text and "## pcp_official" not in text
    assert "| Other 2013 | published | 1016 | 75.5 |" in text
    assert "| flic/det_0.1_s1 | given | 766, whole | 70.0 [68.0, 72.0] |" in text
    assert "| flic/det_0.1_s1 | given | 766, whole | 80.0 |" in text
    assert text.endswith("- a note\n")


@pytest.mark.parametrize("name", ["pdj_modec", "pcp_strict", "labels", "intervals"])
def test_what_was_measured_otherwise_does_not_share_a_table(name: str) -> None:
    """Another threshold, other sides, another level: one column would hold two protocols."""
    other = record(method="other", settings={**record().settings, name: "another"})
    with pytest.raises(UserError, match=rf"{name}.*out=") as raised:
        table_rows([record(), other], [])
    assert "\n" not in str(raised.value)


def test_a_table_is_of_the_same_annotated_people_and_any_choice_of_protocols() -> None:
    with pytest.raises(UserError, match="annotated people"):
        table_rows([record(), record(method="other", annotated=276)], [])
    some = {name: record().settings[name] for name in ("pcp_strict", "labels", "intervals")}
    assert len(table_rows([record(), record(method="other", settings=some)], [])) == 2


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write_record(tmp_path, record(), overwrite=False)
    assert path.name == "flic-det_0.1_s1__given__whole.json" and read_records(tmp_path) == [record()]
    write_record(tmp_path, record(notes="again"), overwrite=False)  # the same again
    assert read_records(tmp_path)[0].notes == "again"


def test_another_network_does_not_take_the_name(tmp_path: Path) -> None:
    write_record(tmp_path, record(), overwrite=False)
    other = record(identity={"method": "another", "data": "def"})
    for different in (
        record(identity={"method": "abc", "data": "other people"}),
        record(identity={"method": "abc", "data": "def", "boxes": "of a file"}),
        record(settings={**record().settings, "pcp_strict": "another threshold"}),
    ):
        with pytest.raises(UserError, match="overwrite=true"):
            write_record(tmp_path, different, overwrite=False)
    with pytest.raises(UserError, match="method=") as raised:
        write_record(tmp_path, other, overwrite=False)
    assert "\n" not in str(raised.value) and read_records(tmp_path) == [record()]
    write_record(tmp_path, other, overwrite=True)
    assert read_records(tmp_path) == [other]
    write_record(tmp_path, replace(record(), people="detected"), overwrite=False)
    assert len(read_records(tmp_path)) == 2


@pytest.mark.parametrize("content", ["{}", '{"method": 1}', "[1]", '"text"'])
def test_a_foreign_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(UserError, match=r"other\.json"):
        read_records(tmp_path)
    (tmp_path / f"{record().file_stem}.json").write_text(content)
    with pytest.raises(UserError, match=r"flic-det_0\.1_s1"):
        write_record(tmp_path, record(), overwrite=False)


def test_a_record_of_an_earlier_version_stands_in_no_table(tmp_path: Path) -> None:
    """Its lengths, test crops and intervals were others, though its settings say the same."""
    (tmp_path / f"{record().file_stem}.json").write_text(json.dumps({**asdict(record()), "schema": 1}))
    with pytest.raises(UserError, match="not an evaluation of this version; move it away"):
        read_records(tmp_path)


@given(st.text(min_size=1, max_size=30))
def test_any_name_makes_a_file_in_its_folder(name: str) -> None:
    file = record(method=name).file_stem
    assert file and Path(file).name == file and len(Path(file).parts) == 1 and not file.startswith(".")


def test_the_comparison_is_written_whole(tmp_path: Path) -> None:
    write_evaluation(tmp_path, record(notes="of another pack"), overwrite=False)
    written = write_comparison(tmp_path, "flic", [MODEC])
    assert [path.name for path in written] == ["table.csv", "table.md", "curves.png"]
    assert all(path.stat().st_size for path in written)
    text = (tmp_path / "table.md").read_text()
    assert "250 of 1016" in text and "of another pack" in text and "its files" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["flic-det_0.1_s1__given__whole.json", *(path.name for path in written)]
    )


def test_no_curve_no_figure(tmp_path: Path) -> None:
    write_record(tmp_path, record(curves={}), overwrite=False)
    assert [path.name for path in write_comparison(tmp_path, "flic", [])] == ["table.csv", "table.md"]


def test_the_console_gives_four_decimals() -> None:
    text = record_summary(record(scores={"pcp_official_six_parts": [0.83269, 0.8, 0.9], "pcp_official_x": [None] * 3}))
    assert "pcp_official_six_parts  0.8327  [0.8000, 0.9000]" in text
    assert "pcp_official_x          –" in text and "pcp_official: does not apply" in text
    assert "766 of 1016 people count (whole), 766 detected, 250 without an image" in text


def test_published_numbers_are_those_of_the_facts() -> None:
    """FACTS 7, per cent: elbow/wrist at 0.05, 0.1 and 0.2 of the torso, upper/lower arms strictly; 1016 people."""
    facts = {  # CPM's 97.59/95.03 at 0.2, as its text prints, are by another length than MODEC's
        ("MODEC", "image"): (24.0, 19.3, 51.9, 38.4, 75.5, 57.9, None, None),
        ("Chen & Yuille", "image"): (35.4, 40.3, 76.5, 76.4, 94.7, 91.7, None, None),
        ("Convolutional Pose Machines", "image"): (62.4, 67.2, 89.4, 87.6, 97.54, 94.93, None, None),
        ("Stacked Hourglass", "person"): (60.9, 60.1, 90.6, 88.7, 99.0, 97.0, 98.5, 93.4),
        ("MODEC", "person"): (*[None] * 6, 82.4, 50.0),
        ("Chen & Yuille", "person"): (*[None] * 6, 92.4, 82.3),
        ("Convolutional Pose Machines", "person"): (*[None] * 6, 93.7, 87.4),
    }
    content = yaml.safe_load((CONF / "published" / "default.yaml").read_text())
    check_published(content)
    rows = content["flic"]
    assert len(rows) == len(facts) and {row["people"] for row in rows} == {1016}
    names = [f"pdj_modec_{joint}@{at}" for at in ("0.05", "0.10", "0.20") for joint in ("elbow", "wrist")]
    names += ["pcp_strict_upper_arm", "pcp_strict_lower_arm"]
    assert {name for row in rows for name in row["scores"]} == set(names)
    for row, ((name, sides), values) in zip(rows, facts.items(), strict=True):
        assert row["method"].startswith(name) and row["sides"] == sides
        expected = {key: value for key, value in zip(names, values, strict=True) if value is not None}
        assert {key: 100 * value for key, value in row["scores"].items()} == pytest.approx(expected)


@pytest.mark.parametrize(("sides", "here", "other"), [("image", MODEC, PERSON), ("person", PERSON, MODEC)])
def test_published_numbers_of_other_sides_are_nowhere_among_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sides: str, here: dict[str, Any], other: dict[str, Any]
) -> None:
    """Not in the tables, not in the figure; a note says that they are left out."""
    drawn: list[str] = []

    def draw(data: str, records: object, lines: Sequence[TableRow], path: Path) -> bool:
        drawn.extend(line.method for line in lines)
        return False

    monkeypatch.setattr("hmlpe.evaluate.write.draw_curves", draw)
    write_evaluation(tmp_path, record(sides=sides), overwrite=False)
    write_comparison(tmp_path, "flic", [MODEC, PERSON])
    rows = rows_of((tmp_path / "table.csv").read_text())
    assert drawn == [row["method"] for row in rows] == [here["method"], "flic/det_0.1_s1"]
    text = (tmp_path / "table.md").read_text()
    assert [line for line in text.splitlines() if other["method"] in line] == [
        f"- Published under sides={other['sides']}, so not in a table of sides={sides}: {other['method']}."
    ]
    assert here["source"] in text and other["source"] not in text and f"sides={sides}" in text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ([], ["published: must list rows for each set"]),
        ({"flic": "text"}, ["published.flic: must be a list"]),
        ({"flic": [MODEC, {name: MODEC[name] for name in MODEC if name != "sides"}]}, ["flic, row 2", "no sides"]),
        ({"flic": [{**MODEC, "sides": "observer"}]}, ["flic, row 1", "image or person", "'observer'"]),
        ({"flic": ["MODEC"]}, ["flic, row 1", "no method"]),
    ],
)
def test_published_rows_say_their_sides(content: object, parts: list[str]) -> None:
    with pytest.raises(UserError) as raised:
        check_published(content)
    text = str(raised.value)
    assert "\n" not in text and all(part in text for part in parts), text
    check_published({"flic": [MODEC, PERSON], "buffy": None})


def test_a_record_is_json() -> None:
    from dataclasses import asdict

    assert json.loads(json.dumps(asdict(record()))) == asdict(record())
    assert np.isfinite(record().scores["pdj_modec_elbow@0.20"]).all()  # type: ignore[arg-type]
