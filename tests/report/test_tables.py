"""The tables: their numbers, order, marks and bytes."""

import csv
import io
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.report import (
    Table,
    collect_runs,
    render_csv,
    render_markdown,
    render_runs,
    render_tex,
    render_text,
    summarise_runs,
)
from hmlpe.report.summary import mean_and_std

from .conftest import Result, changed, make_result

Study = Callable[[list[Result]], Path]
ELBOW = "test/pdj_modec_elbow@0.20"
RENDERERS = [render_markdown, render_csv, render_tex, render_text]


@pytest.fixture
def table(study: Study, ablation: list[Result]) -> Table:
    return summarise_runs(collect_runs(study(ablation)))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_mean_std_and_n_by_hand(study: Study) -> None:
    results = [
        changed(make_result(seed=seed), "metrics/" + ELBOW, value) for seed, value in ((1, 0.5), (2, 0.6), (3, 0.9))
    ]
    table = summarise_runs(collect_runs(study(results)))
    found = table.lines[1].stats[ELBOW]
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(2 / 3), 3)
    assert found.std == pytest.approx((0.13 / 3) ** 0.5)  # (1/36 + 1/225 + 49/900) / 2 = 0.13 / 3
    assert "| det_0.1 | 1 | 0.1 | 3 | **66.7 ± 20.8** |" in render_markdown(table)


def test_one_seed_has_no_std(study: Study) -> None:
    table = summarise_runs(collect_runs(study([make_result()])))
    assert "±" not in render_markdown(table) and "- One seed per row; errors" in render_markdown(table)
    assert rows_of(render_csv(table))[1][f"{ELBOW}_std"] == ""


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_statistics_agree_with_numpy_and_ignore_order(values: list[float], shuffler: random.Random) -> None:
    found = mean_and_std(values)
    assert found is not None
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    assert mean_and_std(shuffled) == found


def test_order_and_content_of_table_csv(table: Table) -> None:
    rows = rows_of(render_csv(table))
    assert [row["row"] for row in rows] == ["mean_pose", "reg_only", "det_0.01", "det_1", "det_only"]
    assert [row["n"] for row in rows] == ["1", "2", "2", "1", "2"]
    assert [row["collapsed"] for row in rows] == ["0", "1", "0", "0", "0"]
    assert [row["weight_detection"] for row in rows] == ["", "0", "0.01", "1", "1"]
    assert float(rows[0][f"{ELBOW}_mean"]) == 0.573
    assert float(rows[1][f"{ELBOW}_mean"]) == pytest.approx(0.63)
    assert float(rows[1][f"{ELBOW}_std"]) == pytest.approx(0.02 / 2**0.5)
    assert rows[4][f"{ELBOW}_mean"] == ""
    assert rows[4][f"{ELBOW}_n"] == "0"


def test_a_task_without_weight_is_a_dash_and_an_unknown_column_is_left_out(table: Table) -> None:
    text = render_markdown(table)
    (header,) = (line for line in text.splitlines() if line.startswith("| row"))
    (only,) = (line for line in text.splitlines() if line.startswith("| det_only"))
    cells = dict(zip(header.split(" | "), only.split(" | "), strict=True))
    assert cells["PDJ@0.2 elbow [%]"] == "–"
    assert cells["window AP [%]"] == "**40.0 ± 0.0**"
    assert "PCP" not in text, "no run has it"


def test_the_sentence_says_what_the_numbers_stand_on(table: Table) -> None:
    text = render_markdown(table)
    assert text.startswith("# weight_ablation\n")
    assert "Data 0123456789ab: " in text
    assert "766 of 1016 test people (250 people's images are missing)" in text
    for fact in ("pdj_modec sides=image boxes=detection", "best val/regression", "Recipe modern", "12 epochs"):
        assert fact in text


def test_test_people_in_shots_that_are_trained_on_are_counted(study: Study) -> None:
    people = {"train": 2000, "val": 200, "test": 500, "test_annotated": 500, "test_neighbours": 22}
    text = render_markdown(summarise_runs(collect_runs(study([changed(make_result(), "people", people)]))))
    assert ", 500 test people, 22 of them in shots that are trained on. Checkpoint" in text


def test_a_study_of_a_few_steps_says_so(study: Study) -> None:
    for steps, start, said in ((1, "scratch", "12 epochs (1 step: too few to learn from)."), (99, "a/b", "12 epochs."),
                               (100, "scratch", "12 epochs.")):  # fmt: skip
        result = make_result() | {"steps": steps, "start": start}
        assert summarise_runs(collect_runs(study([result]))).about.endswith(said), said


def test_complete_data_has_no_word_on_missing_people(study: Study) -> None:
    result = changed(make_result(), "people", {"train": 2000, "val": 200, "test": 500, "test_annotated": 500})
    text = render_markdown(summarise_runs(collect_runs(study([result]))))
    assert ", 500 test people. Checkpoint" in text
    assert "missing" not in text


def test_best_is_bold_but_never_the_mean_pose(study: Study) -> None:
    worse = make_result("reg_only", 1, 1.0, 0.0)
    results = [worse, changed(make_result(), "metrics/" + ELBOW, 0.7)]
    assert "**70.0**" in render_markdown(summarise_runs(collect_runs(study(results))))
    beaten = [changed(result, "mean_pose/" + ELBOW, 0.9) for result in results]
    text = render_markdown(summarise_runs(collect_runs(study(beaten))))
    assert "**70.0**" not in text
    assert "90.0 |" in text
    assert "**90.0**" not in text


def test_lower_is_better_for_errors_and_shown_ties_are_both_bold(study: Study) -> None:
    key = "metrics/test/regression_error"
    errors = {"a": 0.25, "b": 0.10001, "c": 0.10002}
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    results = [changed(make_result(row, 1, 1.0, weights[row]), key, error) for row, error in errors.items()]
    text = render_markdown(summarise_runs(collect_runs(study(results))))
    assert text.count("**0.1000**") == 2
    assert "**0.2500**" not in text


def test_the_spread_is_not_judged(table: Table) -> None:
    spreads = [line.split(" | ")[-1] for line in render_markdown(table).splitlines() if line.startswith("| ")]
    assert len(spreads) == 7
    assert not any("*" in spread for spread in spreads)


@pytest.mark.parametrize("render", [render_markdown, render_tex, render_text])
def test_collapsed_rows_are_marked_and_counted(table: Table, render: Callable[[Table], str]) -> None:
    text = " ".join(render(table).replace("\\_", "_").split())
    assert "reg_only (mean pose: 1 of 2)" in text
    assert "det_0.01 (mean pose" not in text
    assert "in k of n seeds: reg_only 1 of 2." in text


@pytest.mark.parametrize(("spread", "marked"), [(0.0999, True), (0.1, False)])
def test_the_limit_of_collapse(study: Study, spread: float, marked: bool) -> None:
    table = summarise_runs(collect_runs(study([changed(make_result(), "metrics/test/spread", spread)])))
    assert ("(mean pose: 1 of 1)" in render_markdown(table)) is marked


@pytest.mark.parametrize("render", [render_markdown, render_tex, render_text])
def test_failed_runs_are_named_and_not_counted(table: Table, render: Callable[[Table], str]) -> None:
    assert "Not finished, so not counted above: 1 (det_1_s2 (failed))." in render(table).replace("\\_", "_")
    assert "det_1_s2 failed: E_r is NaN at step 12" in render_text(table)
    assert "step 12" not in render_markdown(table), "an error may hold paths"


def test_a_row_without_any_finished_run_stays_visible(study: Study) -> None:
    failed = changed(make_result("det_5", 1, 1.0, 5.0), "status", "failed")
    lines = {line.row: line for line in summarise_runs(collect_runs(study([make_result(), failed]))).lines}
    assert lines["det_5"].n == 0
    assert lines["det_5"].weights["detection"] == 5.0
    assert not any(lines["det_5"].stats.values())


def test_a_seed_that_a_row_lacks_is_named(study: Study) -> None:
    results = [make_result("a", 1), make_result("a", 2), make_result("b", 1, 1.0, 3.0)]
    text = render_markdown(summarise_runs(collect_runs(study(results))))
    assert "No result, though other rows have this seed: b_s2." in text


def test_a_metric_that_one_seed_lacks_shows_its_own_n(study: Study) -> None:
    results = [make_result(seed=1), changed(make_result(seed=2), "metrics/test/window_ap", None)]
    assert "40.0 (n=1)" in render_markdown(summarise_runs(collect_runs(study(results))))


@pytest.mark.parametrize("render", RENDERERS)
def test_same_bytes_whatever_the_order_of_the_runs(
    study: Study, ablation: list[Result], render: Callable[[Table], str]
) -> None:
    runs = collect_runs(study(ablation))
    expected = render(summarise_runs(runs))
    for seed in range(5):
        shuffled = random.Random(seed).sample(runs, len(runs))
        assert render(summarise_runs(shuffled)) == expected
        assert render_runs(shuffled) == render_runs(runs)


@pytest.mark.parametrize("render", [render_markdown, render_csv, render_tex])
def test_no_time_date_path_or_host_in_the_tables(
    study: Study, ablation: list[Result], render: Callable[[Table], str]
) -> None:
    text = render(summarise_runs(collect_runs(study(ablation))))
    later = [result | {"started": "2031-01-01T00:00:00+00:00", "seconds": 7.0} for result in ablation]
    later = [changed(result, "provenance/device", "cuda on host99") for result in later]
    assert render(summarise_runs(collect_runs(study(later)))) == text, "another place, time and machine"
    for trace in ("2026", "123.4", "host17", "/tmp", "4bc1f00d"):
        assert trace not in text


def test_markdown_table_has_as_many_cells_in_every_line(study: Study) -> None:
    result = make_result("odd | *row*", 1)
    text = render_markdown(summarise_runs(collect_runs(study([result]))))
    assert "odd \\| \\*row\\*" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({len(re.split(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_tex_is_escaped_and_every_line_has_as_many_cells(study: Study) -> None:
    result = make_result("[a]*b_c", 1) | {"protocol": r"50% & more #1 $x$ {y} ~z ^w \input <q>"}
    text = render_tex(summarise_runs(collect_runs(study([result]))))
    assert r"50\% \& more \#1 \$x\$ \{y\} \textasciitilde{}z \textasciicircum{}w \textbackslash{}input" in text
    assert "\n{[}a{]}{*}b\\_c & " in text, r"after \\ a bare [ or * would be its argument"
    assert not re.search(r"\\\\\s*[\[*]", text)
    assert text.isascii()
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    spec = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert spec is not None
    assert len(lines) == 3
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(spec[1])}
    bare = re.sub(r"\\[\\{}%&#$_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("%") == 1, "the comment in the first line"


def test_console_text_is_aligned_and_fits(table: Table) -> None:
    lines = render_text(table).splitlines()
    block = [line for line in lines if re.match(r"(mean_pose|reg_only|det_)", line)]
    assert max(map(len, lines)) <= 80
    assert len({len(line.rstrip("* ")) for line in block[:5]}) == 1
    assert sum(line.count("*") for line in block) >= 6


def test_runs_csv_has_one_line_a_run_and_everything_of_it(study: Study, ablation: list[Result]) -> None:
    text = render_runs(collect_runs(study(ablation)))
    rows = rows_of(text)
    assert len(text.splitlines()) == len(rows) + 1 == 9, "errors of several lines stay in one"
    header = text.splitlines()[0].split(",")
    metrics = [name for name in header if name.startswith(("train/", "test/"))]
    assert metrics == sorted(metrics)
    assert len(metrics) == 8
    assert header[:5] == ["row", "seed", "status", "weight_regression", "weight_detection"]
    (failed,) = (row for row in rows if row["status"] == "failed")
    assert failed["error"] == "E_r is NaN at step 12"
    first = rows[0]
    assert (first["row"], first["seed"], first["people_test"], first["seconds"]) == ("reg_only", "1", "766", "123.4")
    assert first["started"] == "2026-11-22T08:00:00+00:00"
    assert first["git_dirty"] == "False"
    assert float(first[ELBOW]) == 0.62
    assert float(first[f"mean_pose/{ELBOW}"]) == 0.573
    assert first["test/window_ap"] == ""
