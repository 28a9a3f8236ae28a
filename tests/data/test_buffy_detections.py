"""Buffy's detections: which box is whose, and that damaged results are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmlpe.data.sources.buffy import BuffySource
from hmlpe.data.sources.sticks import window_of_sticks
from hmlpe.skeleton import Skeleton

from .conftest import write_mat
from .stick_files import KINDS, NAN, buffy, build, refusal, sticks

RESULTS = "techrep2010_buffy_results.mat"


def box_for(number: int, shift: float = 0) -> np.ndarray:
    """A detection, in MATLAB's pixels, of `man(number)`: the window is 50 wide and 45 high."""
    return window_of_sticks(sticks(number)) + 1 + np.array([shift, 0, shift, 0])


def stickmen(*boxes: Any) -> Any:
    """Estimated stickmen as in the results file: 1 x n struct array, with no fields if n is 0."""
    if not boxes:
        return np.zeros((1, 0))
    men = np.empty((1, len(boxes)), dtype=[("coor", object), ("det", object), ("detscore", object)])
    for i, box in enumerate(boxes):
        men[0, i] = (np.zeros((4, 6)), box, 0.5)
    return men


def results(**frames: Any) -> list[dict[str, Any]]:
    """Records of the results file, without a stickman where not said otherwise: e5_1 is episode 5's second frame."""
    return [
        {"stickmen": frames.get(f"e{e}_{i}", stickmen()), "episode": e, "frame": int(record.header)}
        for e in (2, 5, 6)
        for i, record in enumerate(buffy(e))
    ]


def detected(root: Path, skeleton: Skeleton, records: Sequence[dict[str, Any]]) -> BuffySource:
    source = build(root, KINDS["buffy"], skeleton, detections=RESULTS)
    write_mat(root / RESULTS, records, "techrep2010_buffy")
    assert isinstance(source, BuffySource)
    return source


def test_a_detection_is_the_best_box_that_fits(tmp_path: Path, skeleton: Skeleton) -> None:
    # moved by x of the width of 50, the IoU is (50 - x) / (50 + x): 0.515 at 16, 0.4925 at 17
    records = results(
        e2_0=stickmen(box_for(20, 16)),
        e2_1=stickmen(box_for(21, 17)),
        e5_0=stickmen(box_for(50, 900), box_for(50, 9), box_for(50, -3), box_for(50, 4)),
        e5_2=stickmen(box_for(52, 17), box_for(52, -17)),
        e6_0=stickmen(np.array([10, 20, 30, 60], dtype=np.uint8)),
    )
    people = detected(tmp_path / "set", skeleton, records).people()
    found = {p.image: p.detection_px for p in people if np.isfinite(p.detection_px).all()}
    assert list(found) == [buffy(2)[0].image, buffy(5)[0].image]
    np.testing.assert_allclose(found[buffy(2)[0].image], box_for(20, 16) - 1)  # counted from 0, as the sticks
    np.testing.assert_allclose(found[buffy(5)[0].image], box_for(50, -3) - 1)
    assert all(np.isnan(p.detection_px).all() for p in people if p.image not in found)


def test_detections_are_optional_but_not_silently(tmp_path: Path, skeleton: Skeleton) -> None:
    source = detected(tmp_path / "set", skeleton, results())
    before = source.fingerprint()
    write_mat(tmp_path / "set" / RESULTS, results(e2_0=stickmen(box_for(20))), "techrep2010_buffy")
    assert source.fingerprint() != before
    (tmp_path / "set" / RESULTS).unlink()
    message = refusal(type(source)(str(tmp_path / "set"), skeleton).people)
    assert RESULTS in message and "data.source.detections=null" in message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda records: [records[0], *records[2:]], "frame 21 of episode 2"),  # a frame that the results do not list
        (lambda records: [*records, {**records[0], "frame": 77}], "frame 77 of episode 2"),  # one that is not annotated
        (lambda records: [*records, {**records[0], "episode": 7}], "episode 7"),
        (lambda records: [*records, records[0]], "record 7"),
        (lambda records: [{**records[0], "frame": 2063.5}, *records[1:]], "record 1: field 'frame'"),
        (lambda records: [{**records[0], "frame": NAN}, *records[1:]], "record 1: field 'frame'"),
        (lambda records: [*records[:4], {**records[4], "episode": "five"}, records[5]], "record 5: field 'episode'"),
        (lambda records: [{**records[0], "frame": np.zeros((1, 0))}, *records[1:]], "record 1: field 'frame'"),
        (lambda records: [{k: v for k, v in r.items() if k != "stickmen"} for r in records], "'stickmen' is missing"),
        (lambda records: [{**records[0], "stickmen": np.ones((1, 2))}, *records[1:]], "record 1: field 'det'"),
        (lambda records: [{**records[0], "stickmen": "none"}, *records[1:]], "record 1: field 'det'"),
    ],
)
def test_damaged_results_are_refused(tmp_path: Path, skeleton: Skeleton, change: Any, word: str) -> None:
    source = detected(tmp_path / "set", skeleton, change(results(e5_0=stickmen(box_for(50)))))
    assert word in refusal(source.people)


@pytest.mark.parametrize(
    "box",
    [
        (1, 2, 3), (1, 2, 3, NAN), (1, 2, np.inf, 4), (5, 2, 3, 4), (1, 2, 1, 4), (1, 2, 3, 1e300), "box", (),
        np.ones((2, 4)),
    ],
    ids=str,
)  # fmt: skip
def test_a_detection_that_is_no_box_is_refused(tmp_path: Path, skeleton: Skeleton, box: Any) -> None:
    source = detected(tmp_path / "set", skeleton, results(e2_1=stickmen(box_for(21), np.asarray(box))))
    assert f"{RESULTS}, record 2: field 'det'" in refusal(source.people)


def test_an_episode_may_be_without_detections(tmp_path: Path, skeleton: Skeleton) -> None:
    source = detected(tmp_path / "set", skeleton, [r for r in results(e5_0=stickmen(box_for(50))) if r["episode"] == 5])
    assert [np.isfinite(p.detection_px).all() for p in source.people()].count(True) == 1


@pytest.fixture(scope="module")
def cuttable(tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton) -> tuple[BuffySource, Path, bytes]:
    root = tmp_path_factory.mktemp("cuttable")
    source = detected(root, skeleton, results(e2_0=stickmen(box_for(20)), e5_0=stickmen(box_for(50), box_for(50, 9))))
    return source, root / RESULTS, (root / RESULTS).read_bytes()


@settings(max_examples=20)
@given(share=st.floats(0, 1, exclude_max=True))
def test_cut_results_are_refused(cuttable: tuple[BuffySource, Path, bytes], share: float) -> None:
    source, path, whole = cuttable
    path.write_bytes(whole[: int(share * len(whole))])
    assert str(path) in refusal(source.read)
