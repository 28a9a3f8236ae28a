"""The CSV rows of earlier starts, in order and once each."""

from pathlib import Path

from hmlpe.training.logs import rows_of_earlier_starts


def write(folder: Path, version: int, *lines: str) -> None:
    path = folder / f"version_{version}" / "metrics.csv"
    path.parent.mkdir()
    path.write_text("epoch,step,train/total,val/error_px\n" + "\n".join(lines))


def test_a_step_is_what_the_last_start_that_reached_it_logged(tmp_path: Path) -> None:
    write(tmp_path, 0, "0,1,1.0,", "0,2,,9.0", "1,5,2.0,", "2,8,3.0,")  # killed after step 8, its state of step 3
    write(tmp_path, 1, "1,4,2.5,", "1,5,2.0,", "2,7,4.0,", "2,9,5.")  # killed as it wrote step 9
    write(tmp_path, 10, "2,6,0.0,")  # this start
    assert list(rows_of_earlier_starts(tmp_path, "version_10", 6)) == [
        (1, {"epoch": 0.0, "train/total": 1.0}),
        (2, {"epoch": 0.0, "val/error_px": 9.0}),
        (4, {"epoch": 1.0, "train/total": 2.5}),
        (5, {"epoch": 1.0, "train/total": 2.0}),
    ]


def test_torn_files_and_lines_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, 0, "0,1,1.0,", "0,2,x,", "nonsense", "0,3,3.0,")
    (tmp_path / "version_1").mkdir()
    (tmp_path / "version_1" / "metrics.csv").write_text("")
    assert [step for step, _ in rows_of_earlier_starts(tmp_path, "version_2", 9)] == [1, 3]
