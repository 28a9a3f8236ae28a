"""What the report says and draws is so: scales, bars, ticks, marks, words, and the width of a terminal."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmlpe.report import collect_runs, render_markdown, render_text, summarise_runs, write_report
from hmlpe.report.columns import Panel, panels_of
from hmlpe.report.figure import _draw_panel, choose_axis
from hmlpe.report.page.build import main_table, paired_tables
from hmlpe.report.page.charts import curve_charts, row_colours, weight_charts
from hmlpe.report.statistics import compare_rows
from hmlpe.report.statistics.render import render_paired_csv
from hmlpe.report.study import read_study
from hmlpe.runs.curves import read_curves

from .conftest import Result, changed, make_result, write_results
from .studies import ROWS, write_curves, write_study

ELBOW, E_R = "test/pdj_modec_elbow@0.20", "test/regression_error"
ROW_OF_WEIGHT = {"regression_only": 0.0, "det_0.1": 0.1, "det_1": 1.0}


@pytest.fixture
def wild(tmp_path: Path) -> Path:
    """Two seeds that lie far apart: intervals reach below 0 and above 100 %; and shares of 0.5 to 98 %."""
    values = {"regression_only": ((0.005, 0.02), (0.9, 0.02)), "det_0.1": ((0.3, 0.98), (0.2, 0.3)), "det_1": 0}
    runs = []
    for row, found in values.items():
        for seed in (1, 2):
            result = make_result(row, seed, 1.0, ROW_OF_WEIGHT[row])
            if found:
                shares, errors = found
                result = changed(result, f"metrics/{ELBOW}", shares[seed - 1])
                result = changed(result, f"metrics/{E_R}", errors[seed - 1])
            runs.append(result)
    return write_results(tmp_path / "study", runs)


def points_of(spec: Any) -> list[dict[str, Any]]:
    """All values of a chart's data that have a bar."""
    inner = spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else []
    own = [spec] if isinstance(spec, dict) and isinstance(spec.get("low"), float | int) else []
    return own + [found for one in inner for found in points_of(one)]


def test_no_percentage_is_on_a_logarithmic_axis_and_errors_may_be(wild: Path) -> None:
    found = read_study(wild).chosen
    charts = {chart.title: json.dumps(chart.spec) for chart in weight_charts(found, list(ROW_OF_WEIGHT))}
    assert '"log"' not in charts["test PDJ@0.2 [%]"]
    panel = Panel("E", 1.0, ())
    assert (
        panel.needs_log_axis([0.01, 1.0])
        and not panel.needs_log_axis([0.0, 1.0])
        and not panel.needs_log_axis([0.5, 1.0])
    )
    for ax, panel in drawn(wild):
        assert ax.get_yscale() == "linear" or panel.scale == 1.0


def drawn(study: Path) -> list[tuple[Axes, Panel]]:
    """The panels of figure.png."""
    runs = collect_runs(study)
    found = []
    for panel in panels_of(runs):
        ax = Figure().add_subplot()
        styles = {label: ("#000000", "o") for _, label in panel.lines}
        _draw_panel(ax, panel, runs, choose_axis(runs), styles)
        found.append((ax, panel))
    return found


def test_no_bar_is_drawn_outside_of_what_is_possible(wild: Path) -> None:
    found = read_study(wild).chosen
    for chart, (ax, panel) in zip(weight_charts(found, list(ROW_OF_WEIGHT)), drawn(wild), strict=True):
        most = 100.0 if "%" in chart.title else float("inf")
        bars = points_of(chart.spec)
        assert bars and all(0 <= one["low"] <= one["value"] <= one["high"] <= most for one in bars), chart.title
        ends = [y for bar in ax.containers for lines in bar[2] for path in lines.get_segments() for _, y in path]
        assert ends and all(-1e-9 <= end <= most + 1e-9 for end in ends), panel.ylabel


def test_an_interval_is_cut_on_the_page_and_as_computed_in_a_csv(tmp_path: Path) -> None:
    study = write_study(tmp_path, seeds=2, people=10)
    found = read_study(study).chosen
    below = [cell.below for row in main_table(found).rows for cell in row if cell.below]
    ends = [text.split(" to ") for text in below]
    assert ends and all(0 <= float(low) <= float(high) for low, high in ends)
    assert min(low for low, _ in found.statistics.intervals.values()) < 0, "a study whose intervals run out"
    lines = csv.DictReader(io.StringIO(render_paired_csv([found.statistics])))
    computed = {(one.row, one.column.key): one.over_both for one in found.statistics.differences}
    for line in lines:
        expected = computed[line["row"], line["metric"]]
        assert expected is not None
        assert float(line["seeds_and_people_low"]) == pytest.approx(expected[0], rel=1e-6)


def svg_of(spec: Any) -> str:
    return vl_convert.vegalite_to_svg({**spec, "width": 300})


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_curves_of_few_epochs_are_seen_over_whole_epochs(tmp_path: Path, epochs: int) -> None:
    study = write_results(tmp_path / "s", [make_result(row, 1, *weights) for row, weights in ROWS.items()])
    for row, weights in ROWS.items():
        write_curves(study / f"{row}_s1", weights, 1, epochs)
    runs = collect_runs(study)
    charts = curve_charts({run.name: read_curves(run.file.parent, epochs) for run in runs}, runs, row_colours(runs))
    assert len(charts) == 7
    for chart in charts:
        svg = svg_of(chart.spec)
        ticks = re.findall(r">(\d+)</text>", svg[: svg.index("epoch</text>")])
        assert ticks == [str(epoch + 1) for epoch in range(epochs)], chart.title
        marks = [tag for tag in re.findall(r"<path[^>]*>", svg) if 'role="graphics-symbol"' in tag]
        seen = [tag for tag in marks if 'opacity="0"' not in tag and re.search(r' d="M[^"]*[LA]', tag)]
        trained = {row for row in ROWS for tag in marks if f"row: {row}" in tag}
        assert trained == {row for row in ROWS for tag in seen if f"row: {row}" in tag}, chart.title


@pytest.mark.parametrize("last", [1, 2, 3, 7, 12, 30, 199, 1000, 4001])
def test_ticks_are_few_and_whole_epochs(last: int) -> None:
    from hmlpe.report.page.charts import _epoch_ticks

    ticks = _epoch_ticks(list(range(1, last + 1)))
    assert ticks == sorted(set(ticks)) and ticks[0] == 1 and ticks[-1] <= last and len(ticks) <= 11


def test_worse_has_no_arrow_down_beside_the_word_higher(tmp_path: Path) -> None:
    statistics = compare_rows(collect_runs(write_study(tmp_path, seeds=3)))
    said = [cell.text for table in paired_tables(statistics) for row in table.rows for cell in row if cell.kind]
    assert "✓ better: lower in all 3 seeds" in said and any("better: higher" in text for text in said)
    write_report(tmp_path / "outputs" / "weight_ablation")
    page = (tmp_path / "outputs" / "weight_ablation" / "report.html").read_text()
    assert (
        "▲" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL) and "▼" not in page.partition("<script")[0]
    )


def beaten(study: Callable[[list[Result]], Path], better: bool) -> Path:
    """Two rows; the mean pose is better than both in E_r, or worse; and better in the elbow's PDJ."""
    runs = [make_result("regression_only", 1, 1.0, 0.0), make_result("det_1", 1, 1.0, 1.0)]
    runs = [changed(run, f"mean_pose/{E_R}", 0.1 if better else 0.9) for run in runs]
    return study([changed(run, f"mean_pose/{ELBOW}", 0.7) for run in runs])


def test_a_mean_pose_that_is_not_beaten_is_said_everywhere(study: Callable[[list[Result]], Path]) -> None:
    for better, words in ((True, "PDJ@0.2 elbow [%], E_r test"), (False, "PDJ@0.2 elbow [%]")):
        folder = beaten(study, better)
        sentence = f"No row is better than the mean pose, which ignores the image, in {words}."
        text = write_report(folder)
        assert sentence in " ".join(text.split()) and sentence in (folder / "table.md").read_text()
        assert (folder / "report.html").read_text().count(sentence) == 2, "at the top, and below the table"
    fine = changed(make_result("det_1"), "mean_pose", {"test": {"regression_error": 0.9}})
    assert "No row is better" not in render_markdown(summarise_runs(collect_runs(study([fine]))))


def test_a_note_of_one_rule_alone_names_it(tmp_path: Path) -> None:
    study = write_study(tmp_path, {"regression_only": (1.0, 0.0)}, seeds=1, people=20)
    path = study / "regression_only_s1" / "result.json"
    result = changed(json.loads(path.read_text()), "other_rule/metrics/test/regression_error", 0.5)
    path.write_text(json.dumps(result))
    write_report(study)
    page = (study / "report.html").read_text()
    assert (
        "<li>Checkpoint last epoch: No row is better than the mean pose" in page and "<li>No row is better" not in page
    )


def test_the_caption_of_the_best_is_so_where_the_mean_pose_is_best(study: Callable[[list[Result]], Path]) -> None:
    table = main_table(read_study(beaten(study, better=True)).chosen)
    column = table.head.index("E_r test")
    assert [row[column].kind for row in table.rows] == [""] * 3
    assert table.caption == "Bold: to the digits shown, neither a row nor the mean pose is better in this column."
    assert "*: to the digits shown, neither a row nor the mean pose is better" in render_text(
        summarise_runs(collect_runs(beaten(study, better=True)))
    )


def test_one_is_singular(study: Callable[[list[Result]], Path]) -> None:
    result = make_result() | {"epochs": 1, "people": {"train": 1, "val": 1, "test": 1, "test_annotated": 1}}
    text = render_markdown(summarise_runs(collect_runs(study([result]))))
    assert "1 training person, 1 validation person, 1 test person." in text and "1 epoch." in text
    assert not re.search(r"\b1 (epochs|people|runs|seeds)\b", text)


def test_with_two_seeds_no_row_is_better_or_worse(tmp_path: Path) -> None:
    """Whatever the interval says; with three it may."""
    for seeds, expected in ((1, {None}), (2, {None}), (3, {None, True})):
        found = compare_rows(collect_runs(write_study(tmp_path / str(seeds), seeds=seeds, people=60)))
        assert {one.better for one in found.differences} == expected, seeds
        sure = [one for one in found.differences if one.over_both and not one.over_both[0] <= 0 <= one.over_both[1]]
        assert sure or seeds == 1, "the study is one in which two seeds would have told rows apart"
        assert all("too few seeds to tell" in one.verdict for one in found.differences) == (seeds == 2)


def test_eighty_columns_hold_the_report(tmp_path: Path, study: Callable[[list[Result]], Path]) -> None:
    text = write_report(write_study(tmp_path, seeds=3))
    lines = [line for line in text.splitlines() if not line.startswith("wrote ")]
    assert max(map(len, lines)) <= 80 and len(lines) > 30
    failed = make_result("det_1", 2, 1.0, 1.0) | {"status": "failed", "error": "a " + "long " * 40}
    collapsed = changed(make_result("a_row_of_a_long_name", 1), "metrics/test/spread", 0.01)
    runs = [collapsed, make_result("det_1", 1, 1.0, 1.0), failed]
    for line in render_text(summarise_runs(collect_runs(study(runs)))).splitlines():
        assert len(line) <= 80, line


def test_a_row_alone_stands_apart_from_no_axis(tmp_path: Path) -> None:
    study = write_results(tmp_path / "s", [make_result("regression_only", 1, 1.0, 0.0)])
    write_report(study)
    assert "apart from the logarithmic axis" not in (study / "report.html").read_text()
    assert not choose_axis(collect_runs(study)).breaks  # type: ignore[union-attr]
    write_report(wide := write_results(tmp_path / "w", [make_result(r, 1, 1.0, w) for r, w in ROW_OF_WEIGHT.items()]))
    assert "“0” stands apart from the logarithmic axis." in (wide / "report.html").read_text()
