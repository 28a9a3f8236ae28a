"""The page as a file: whole, the same for the same results, and what is lacking is said."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from dataclasses import replace
from html import escape
from pathlib import Path

import altair as alt
import numpy as np
import pytest
import vl_convert
import yaml

from hmlpe.report import collect_runs, write_report
from hmlpe.report.page.charts import CONFIG, weight_charts
from hmlpe.report.page.pictures import build_gallery
from hmlpe.report.study import read_study, study_of
from hmlpe.runs.curves import read_curves
from hmlpe.web import STYLE

from .conftest import changed, make_result, write_results
from .studies import EPOCHS, ROWS, write_curves, write_study

PUBLISHED = {
    "flic": [
        {"method": "MODEC", "people": 1016, "sides": "image", "scores": {"pdj_modec_elbow@0.20": 0.755}},
        {"method": "Hourglass", "people": 1016, "sides": "person", "scores": {"pdj_modec_elbow@0.20": 0.99}},
        {"method": "Sticks", "people": 1016, "sides": "image", "scores": {"pcp_strict_upper_arm": 0.9}},
    ]
}
MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    write_report(folder, published=PUBLISHED)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text()


def specs(page: str) -> dict[str, dict[str, object]]:
    (found,) = re.findall(r'id="specs">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def outside_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_it_is_one_small_file_with_all_sections(page: str) -> None:
    assert len(page.encode()) < MOST_BYTES
    words = outside_scripts(page)
    for section in ("outcome", "weights", "table", "curves", "pdj", "people", "maps", "facts"):
        assert f'<section id="{section}">' in words
    assert "Checkpoint: lowest val/regression_error" in words and "Checkpoint: last epoch" in words
    assert "lower in all 3 seeds" in words and "no difference seen" in words
    assert words.count('<th scope="row">mean_pose</th>') == 2, "in the table under each rule"
    assert "MODEC" in str(specs(page)["pdj-0"])
    assert "Hourglass" not in page and "Sticks" not in page, "neither of other sides nor without a point in the chart"
    assert not re.findall(r'(?:src|href)="(?!data:|#)', words), "nothing is loaded from elsewhere"
    assert "connect-src 'none'" in words and "data-live" not in words, "a file never asks for news"


def test_charts_are_as_vega_lite_wants_them(page: str) -> None:
    for spec in specs(page).values():
        alt.LayerChart.from_dict(spec, validate=True)


def test_headings_are_in_order_and_pictures_have_words(page: str) -> None:
    words = outside_scripts(page)
    levels = [int(level) for level in re.findall(r"<h(\d)", words)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for tag in re.findall(r'<(?:svg|div class="canvas")[^>]*>', words):
        assert re.search(r'aria-label="[^"]+"|aria-hidden="true"', tag), tag
    for table in re.findall(r"<table.*?</table>", words, re.DOTALL):
        assert "<caption>" in table and 'scope="col"' in table


def test_the_same_results_give_the_same_bytes(folder: Path, page: str, tmp_path: Path) -> None:
    write_report(folder, tmp_path, PUBLISHED)
    for name in ("report.html", "paired.csv", "paired.md", "table_other_rule.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_time_and_machine_are_told_where_it_says_what_was_run(page: str) -> None:
    before, _, facts = outside_scripts(page).partition('<section id="facts">')
    for word in ("cpu on host17", "2026-11-22", "4bc1f00d"):
        assert word in facts and word not in before


def test_published_numbers_stand_beside_their_own_set_alone(folder: Path, tmp_path: Path) -> None:
    write_report(folder, tmp_path, {"buffy": PUBLISHED["flic"]})
    assert "MODEC" not in str(specs((tmp_path / "report.html").read_text()))


def test_an_older_study_gets_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    runs = [make_result(row, seed, *w) for row, w in ROWS.items() for seed in (1, 2)]
    study = write_results(tmp_path / "study", runs)
    write_report(study)
    words = outside_scripts((study / "report.html").read_text())
    assert "There is no table under the other rule" in words
    assert "config.yaml: no such file" in words and "No pictures" in words and "No curves" in words
    assert not list(study.glob("table_other_rule.*"))


def test_a_pack_that_is_gone_or_of_other_data_is_said(tmp_path: Path) -> None:
    study = write_study(tmp_path, {"det_1": (1.0, 1.0)}, seeds=1, people=10)
    result = study / "det_1_s1" / "result.json"
    result.write_text(json.dumps(changed(json.loads(result.read_text()), "provenance/data", "other")))
    write_report(study)
    assert "holds other data than these runs used" in (study / "report.html").read_text()
    shutil.rmtree(tmp_path / "data")
    write_report(study)
    assert "No pictures" in (study / "report.html").read_text()
    assert "no pack here" in (study / "report.html").read_text()


def test_texts_of_the_study_cannot_break_the_page(tmp_path: Path) -> None:
    odd = "<!--<script></script><b>row"
    run = make_result(odd, 1) | {"experiment": "<i>x"}
    folder = tmp_path / "s" / "odd_s1"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(run))
    write_curves(folder, (1.0, 0.1), 1)
    write_report(folder.parent)
    page = (folder.parent / "report.html").read_text()
    assert "<b>row" not in outside_scripts(page) and "<i>x" not in page
    assert odd in str(specs(page)), "and it is whole"
    (data,) = re.findall(r'id="specs">(.*?)</script>', page, re.DOTALL)
    assert "<" not in data, "`<!--<script>` would swallow the scripts after it"


def test_the_names_of_rows_are_texts_in_the_charts_labels(tmp_path: Path) -> None:
    names = ("it's", 'a "row"', "back\\slash")
    runs = [make_result(name, 1) | {"varies": ["checkpoint"]} for name in names]
    charts = weight_charts(read_study(write_results(tmp_path / "s", runs)).chosen, names)
    assert charts
    for chart in charts:
        spec = {**chart.spec, "width": 300}
        svg = vl_convert.vegalite_to_svg(spec)
        assert all(escape(name, quote=False) in svg for name in names)


def test_the_bars_ends_count_where_the_scale_is_chosen(tmp_path: Path) -> None:
    """Means of 1 and 2 with an interval down to below 0, which a log scale cannot show; and up to 100."""
    runs = collect_runs(write_results(tmp_path / "s", [make_result(), make_result("det_1", 1, 1.0, 1.0)]))
    found = study_of(runs).chosen
    kinds = []
    for ends in ((0.1, 0.3), (0.001, 0.3), (-0.1, 9.0)):
        intervals = {("det_1", "test/regression_error"): ends}
        with_bars = replace(found, statistics=replace(found.statistics, intervals=intervals))
        kinds.append(json.dumps(weight_charts(with_bars, ["det_0.1", "det_1"])[0].spec))
    assert ['"type": "log"' in kind for kind in kinds] == [False, True, False]


def test_the_words_are_of_what_is_drawn(folder: Path, page: str, tmp_path: Path) -> None:
    words = outside_scripts(page)
    assert "bars: 95 % intervals over seeds and people; where there is none: ± std over seeds; small" in words
    assert "Below a mean: its 95 % interval over seeds and people." in words
    one = write_study(tmp_path / "one", seeds=1, people=10)
    write_report(one)
    words = outside_scripts((one / "report.html").read_text())
    assert "Points: the one seed of each row; bars: 95 % intervals over people; dashed" in words
    assert "Below a mean: its 95 % interval over people." in words and "±" not in words
    old = write_results(tmp_path / "old", [make_result(row, s, *w) for row, w in ROWS.items() for s in (1, 2)])
    write_report(old)
    words = outside_scripts((old / "report.html").read_text())
    assert (
        "Points: means over seeds; bars: ± std over seeds" in words
        and "95 % interval over" not in words.partition('<section id="weights">')[2]
    )


def test_figures_and_pictures_name_their_checkpoint_and_all_tables_can_be_saved(page: str) -> None:
    words = outside_scripts(page)
    for section in ("weights", "pdj", "people", "maps"):
        text = words.partition(f'<section id="{section}">')[2].partition("</section>")[0]
        assert "Checkpoint: lowest val/regression_error." in text
    assert 'download="table_other_rule.csv"' in words


def test_curves_of_a_run_that_still_writes_them(tmp_path: Path) -> None:
    path = write_curves(tmp_path, (1.0, 0.0), 1)
    whole = read_curves(tmp_path, EPOCHS)
    names = ["train/gradient/norm_regression", "train/regression", "val/regression_error"]
    assert list(whole) == names, "not what the evaluation logs"
    assert list(whole["train/regression"]) == [1, 2, 3, 4] and whole["train/regression"][1] == pytest.approx(1.01)
    text = path.read_bytes()
    for cut in range(0, len(text), 7):
        path.write_bytes(text[:cut])
        part = read_curves(tmp_path, EPOCHS)
        assert all(part[name].items() <= whole[name].items() for name in part), f"cut at {cut}"
    path.write_bytes(text.replace(b"1.01", b"one") + b"\0\xff\n3,4\n")
    assert 1 not in read_curves(tmp_path, EPOCHS)["train/regression"]
    path.write_bytes(b"")
    assert read_curves(tmp_path, EPOCHS) == {}


def test_a_later_start_goes_on_where_the_first_broke_off(tmp_path: Path) -> None:
    write_curves(tmp_path, (1.0, 0.0), 1, epochs=2)
    later = tmp_path / "csv" / "version_10" / "metrics.csv"
    later.parent.mkdir()
    later.write_text("epoch,step,val/regression_error\n1,19,7\n2,29,8\n")
    (tmp_path / "csv" / "version_2").mkdir()
    (tmp_path / "csv" / "version_2" / "metrics.csv").write_text("epoch,step,val/regression_error\n2,29,5\n")
    found = read_curves(tmp_path, 3)["val/regression_error"]
    assert list(found) == [1, 2, 3] and found[2] == 7 and found[3] == 8


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_texts_are_read_on_light_and_dark_paper_and_rows_are_told_apart() -> None:
    from hmlpe.report.page.charts import _RAMP, GREY, LINE_COLOURS

    style = STYLE.read_text()
    papers = []
    for block in re.findall(r":root \{(.*?)\}", style):
        colours = dict(re.findall(r"--(\w+): (#\w+);", block))
        colours = {name: "#" + "".join(2 * c for c in v[1:]) if len(v) == 4 else v for name, v in colours.items()}
        papers.append(colours["paper"])
        for name in ("ink", "soft", "link", "good", "bad"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, (block, name)
    assert len(papers) == 3
    assert all(contrast(colour, paper) >= 3 for colour in (*_RAMP, *LINE_COLOURS, GREY) for paper in papers)
    assert CONFIG["axis"]["labelColor"] == "currentColor"


def test_nobody_without_an_error_is_shown_as_the_worst_and_unknown_parts_are_called_so(tmp_path: Path) -> None:
    study = write_study(tmp_path, {"det_1": (1.0, 1.0)}, seeds=1, people=10)
    path = study / "det_1_s1" / "people" / "best.npz"
    arrays = dict(np.load(path))
    arrays["errors/detection_error"][2], arrays["errors/regression_error"][2] = np.nan, np.nan
    arrays["truth_crop_px"][2] = np.nan
    np.savez(path, **arrays)
    (row,) = build_gallery(collect_runs(study)).rows
    assert row.maps and not [one.label for one in row.maps if "nan" in one.label or "person 3," in one.label]
    arrays["errors/detection_error"][:, 0] = np.where(np.arange(10) == 3, 1.0, np.nan)  # whose left wrist is unknown
    np.savez(path, **arrays)
    (row,) = build_gallery(collect_runs(study)).rows
    (one,) = row.maps
    assert [name for name, *_ in one.parts if "unknown" in name] == ["left lower arm (unknown)"]


def test_the_config_of_a_run_may_be_broken(tmp_path: Path) -> None:
    study = write_study(tmp_path, {"det_1": (1.0, 1.0)}, seeds=2, people=10)
    (study / "det_1_s1" / "config.yaml").write_text("select: [")
    (study / "det_1_s2" / "config.yaml").write_text(yaml.safe_dump({"select": "best"}))
    write_report(study)
    assert "not the configuration of a run" in (study / "report.html").read_text()
