"""The whole report: files, console text, figure."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmlpe.errors import UserError
from hmlpe.report import collect_runs, write_report
from hmlpe.report.figure import draw_figure

from .conftest import Result, make_result

Study = Callable[[list[Result]], Path]
FILES = ["runs.csv", "table.csv", "table.md", "table.tex", "paired.csv", "paired.md", "figure.png", "report.html"]
PNG = b"\x89PNG\r\n\x1a\n"


def test_writes_everything_says_so_and_repeats_it_byte_by_byte(
    study: Study, ablation: list[Result], tmp_path: Path
) -> None:
    folder, out = study(ablation), tmp_path / "deep" / "out"
    text = write_report(folder)
    assert text.splitlines()[-len(FILES) :] == [f"wrote {folder / name}" for name in FILES]
    assert "det_0.01" in text
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(FILES), "no temporary file stays"
    assert (folder / "table.md").read_text(encoding="utf-8").startswith("# weight_ablation")
    write_report(study(ablation[::-1]), out)
    for name in FILES:
        assert (out / name).read_bytes() == (folder / name).read_bytes(), name


def test_out_must_not_be_a_file(study: Study, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        write_report(study([make_result()]), tmp_path / "out")


def test_figure_is_a_png_that_shows_the_results(study: Study, ablation: list[Result], tmp_path: Path) -> None:
    runs = collect_runs(study(ablation))
    draw_figure(runs, tmp_path / "a.png")
    draw_figure(runs[:-2], tmp_path / "b.png")
    whole, part = (tmp_path / "a.png").read_bytes(), (tmp_path / "b.png").read_bytes()
    assert whole.startswith(PNG)
    assert len(whole) > 20_000
    assert whole != part, "without the last row it looks different"
    assert b"Software" not in whole
    assert b"tIME" not in whole


@pytest.mark.parametrize(
    "rows",
    [[("reg_only", 1, 1.0, 0.0)], [("half", 1, 0.5, 0.5), ("det_only", 1, 0.0, 1.0)]],
)
def test_figure_of_few_rows(study: Study, tmp_path: Path, rows: list[tuple[str, int, float, float]]) -> None:
    draw_figure(collect_runs(study([make_result(*row) for row in rows])), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(PNG)


def test_figure_without_any_metric_it_knows(study: Study, tmp_path: Path) -> None:
    draw_figure(collect_runs(study([make_result() | {"metrics": {"test": {"other": 1.0}}}])), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()


def test_importing_the_report_is_light() -> None:
    heavy = ("torch", "matplotlib", "pandas", "altair", "cv2")
    code = f"import hmlpe.report, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
