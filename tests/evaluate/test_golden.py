"""Known answers: published results of other methods, scored by our code (FACTS 6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hmlpe.data.boxes import BoxRule
from hmlpe.data.selection import DataSet
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.evaluate.people import STICKS, Estimates, Truth, annotated_test_people, truth_of
from hmlpe.evaluate.predictions import BuffyToolReader, CsvReader, read_predictions
from hmlpe.metrics import OfficialPCP, StrictPCP

from .prediction_truth import SKELETON, refusal

pytestmark = pytest.mark.real

TECHREP, BMVC = "techrep2010_buffy_results.mat", "BMVC09best256_buffy_results.mat"
GROUPS = {**{stick: [stick] for stick in STICKS}, "all": list(STICKS)}
OFFICIAL = {  # of the detected people: each stick in the file's order, then all
    TECHREP: [1.0000, 0.9011, 0.8821, 0.5932, 0.6274, 0.9924, 0.8327],
    BMVC: [0.9872, 0.8383, 0.8170, 0.5915, 0.6043, 0.9787, 0.8028],
}


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    if not (real_data / "buffy").is_dir():
        pytest.skip(f"no real Buffy: {real_data / 'buffy'} is not a folder")
    return real_data / "buffy"


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    source = BuffySource(str(folder), SKELETON)
    people = annotated_test_people(DataSet(source, BoxRule("window", "detection", (1.7, 0, 2.2), 0.05)))
    return truth_of(people, SKELETON, sides="image", use_occluded=True)


def shares(
    metric: StrictPCP, truth: Truth, estimates: Estimates, counted: np.ndarray, dtype: torch.dtype
) -> list[float]:
    """To the fourth decimal, in the order of GROUPS."""
    predicted, true = (torch.from_numpy(sticks[counted]).to(dtype) for sticks in (estimates.sticks_px, truth.sticks_px))
    metric.update(predicted, true)
    return [round(float(value), 4) for value in metric.compute().values()]


def official(truth: Truth, estimates: Estimates, dtype: torch.dtype = torch.float64) -> list[float]:
    return shares(OfficialPCP(STICKS, GROUPS), truth, estimates, estimates.detected, dtype)


def strict(truth: Truth, estimates: Estimates, counted: np.ndarray, dtype: torch.dtype = torch.float64) -> float:
    return shares(StrictPCP(STICKS, GROUPS, free_ends=True), truth, estimates, counted, dtype)[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_techrep2010(folder: Path, truth: Truth, dtype: torch.dtype) -> None:
    """FACTS 6: 0.9529, 0.8327, the parts, and 0.7935; strictly 0.7668 over the detected, 0.7307 over all."""
    found = read_predictions(folder / TECHREP, truth, None)
    assert (int(found.detected.sum()), len(truth)) == (263, 276) and round(found.detected.mean(), 4) == 0.9529
    assert official(truth, found, dtype) == OFFICIAL[TECHREP]
    metric = OfficialPCP(STICKS, {"all": list(STICKS)})
    metric.update(*(torch.from_numpy(of.sticks_px[found.detected]).to(dtype) for of in (found, truth)))
    assert round(metric.compute()["pcp_official_all"].item() * found.detected.mean(), 4) == 0.7935
    assert strict(truth, found, found.detected, dtype) == 0.7668
    assert strict(truth, found, np.full(276, True), dtype) == 0.7307


def test_bmvc09(folder: Path, truth: Truth) -> None:
    """Measured here, once: other types of numbers, empty records of two kinds, and a stick that is NaN."""
    found = read_predictions(folder / BMVC, truth, None)
    assert int(found.detected.sum()) == 235 and found.missing == "41 of 276 people not found"
    assert official(truth, found) == OFFICIAL[BMVC]
    assert strict(truth, found, found.detected) == 0.7504
    assert strict(truth, found, np.full(276, True)) == 0.6389


def by_person(truth: Truth, estimates: Estimates) -> list[str]:
    """The chosen estimates as lines of a csv, people who are not detected left out."""
    return [
        f"{truth.images[i]},1,{stick}_{end + 1},{x!r},{y!r}"
        for i in np.flatnonzero(estimates.detected)
        for stick, ends in zip(STICKS, estimates.sticks_px[i].tolist(), strict=True)
        for end, (x, y) in enumerate(ends)
    ]


def by_window(path: Path) -> list[str]:
    """All stickmen of a .mat as lines of a csv in MATLAB's pixels, numbered from the last to the first."""
    import scipy.io

    content = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    (records,) = (value for name, value in content.items() if not name.startswith("__"))
    lines = []
    for record in records:
        image = f"buffy_s5e{record.episode}_original/{record.frame:06d}.jpg"
        for number, man in enumerate(np.atleast_1d(record.stickmen)[::-1], start=1):
            window = ",".join(map(str, man.det.tolist()))
            for stick, (x1, y1, x2, y2) in zip(STICKS, man.coor.astype(float).T.tolist(), strict=True):
                lines += [
                    f"{image},{number},{stick}_1,{x1},{y1},{window}",
                    f"{image},{number},{stick}_2,{x2},{y2},{window}",
                ]
    return lines


@pytest.mark.parametrize("name", [TECHREP, BMVC])
def test_the_same_as_csv(tmp_path: Path, folder: Path, truth: Truth, name: str) -> None:
    """The numbers are the method's, whatever form its file has: people's numbers, or windows."""
    tool = BuffyToolReader()(folder / name, truth)
    head = "image,person,joint,x,y"
    forms: dict[str, tuple[str, list[str], Callable[..., CsvReader], dict[str, object]]] = {
        "person": (head, by_person(truth, tool), CsvReader, {"allow_missing": True}),
        "window": (
            f"{head},window_x0,window_y0,window_x1,window_y1",
            by_window(folder / name),
            CsvReader,
            {"origin": 1},
        ),
    }
    for form, (columns, lines, reader, settings) in forms.items():
        path = tmp_path / f"{form}.csv"
        path.write_text("\n".join([columns, *lines, ""]), encoding="utf-8")
        found = reader(**settings)(path, truth)
        assert found.joints_px is None
        np.testing.assert_array_equal(found.detected, tool.detected)
        np.testing.assert_allclose(found.sticks_px, tool.sticks_px, rtol=1e-12)
        assert official(truth, found) == OFFICIAL[name]
        assert strict(truth, found, np.full(276, True)) == strict(truth, tool, np.full(276, True))
    assert f"no line for {276 - tool.detected.sum()} of 276" in refusal(
        lambda: CsvReader()(tmp_path / "person.csv", truth)
    )


@pytest.mark.parametrize(
    ("name", "turned_official"),
    [
        (TECHREP, [1.0000, 0.9544, 0.9163, 0.6084, 0.6388, 0.9924, 0.8517]),
        (BMVC, [0.9745, 0.9617, 0.9149, 0.5872, 0.6085, 0.9915, 0.8397]),
    ],
)
def test_which_end_comes_first(folder: Path, truth: Truth, name: str, turned_official: list[float]) -> None:
    """Strictly it says nothing. The tool's rule pairs by the FIRST end, so the same sticks get other numbers."""
    found = read_predictions(folder / name, truth, None)
    turned = Estimates(None, found.sticks_px[:, :, ::-1].copy(), found.detected)
    assert strict(truth, turned, found.detected) == strict(truth, found, found.detected)
    assert official(truth, turned) == turned_official != OFFICIAL[name]
