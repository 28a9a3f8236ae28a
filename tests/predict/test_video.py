"""Videos and cameras are read as streams, and what they give is whole, however they end."""

from __future__ import annotations

import csv
import json
import os
import signal
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from hmlpe.errors import UserError
from hmlpe.predict.job import Options, Summary, run_job
from hmlpe.predict.sources import find_sources
from hmlpe.predict.video import frame_rate_from_times, open_video_writer

from .fakes import Beacon, Fixed, lit, predictor, write_video


def look(*sources: Path | int, out: Path, who: Any = None, **options: Any) -> Summary:
    found = find_sources([one if isinstance(one, int) else str(one) for one in sources])
    return run_job(found, who or predictor(), Options(out, **options))


def images(out: Path) -> list[dict[str, Any]]:
    content = json.loads((out / "poses.json").read_text(encoding="utf-8"))
    return [*content["images"]]


def frames_of(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        whole, frame = capture.read()
        if not whole:
            return frames
        frames.append(frame)


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_every_frame_in_order(tmp_path: Path, name: str, code: str) -> None:
    video = write_video(tmp_path / name, 37, code=code)
    estimator = Fixed()
    summary = look(video, out=tmp_path / "out", who=predictor(estimator=estimator))
    frames = images(tmp_path / "out")
    assert [frame["image"] for frame in frames] == [f"{name}#{number}" for number in range(37)]
    assert [frame["frame"] for frame in frames] == [*range(37)]
    assert [frame["time_s"] for frame in frames] == pytest.approx([number / 10 for number in range(37)], abs=0.01)
    heads = np.array([frame["people"][0]["joints"]["head"]["x"] for frame in frames])
    assert np.abs(heads - 10 - np.arange(37)).max() <= 2  # the codecs blur
    assert estimator.batches == [16, 16, 5]
    (said,) = summary.videos
    assert said["frames"] == said["frames_with_people"] == 37 and not said["ends_early"] and said["rate"] == 10
    assert summary.images == summary.people == 37
    drawn = frames_of(tmp_path / "out" / "a_pose.mp4")
    assert len(drawn) == 37 and drawn[0].shape == (48, 64, 3)
    assert np.abs(drawn[5].astype(int) - frames_of(video)[5]).max() > 60  # something is drawn
    with (tmp_path / "out" / "poses.csv").open(newline="", encoding="utf-8") as file:
        assert len([*csv.DictReader(file)]) == 37 * 3


def unevenly(path: Path, durations: list[int]) -> None:
    """Give the frames of an .mp4 durations of their own, in 1/10240 s: an entry each in its table of times."""
    whole, inside = path.read_bytes(), []
    start, end = 0, path.stat().st_size
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        while whole[start + 4 : start + 8] != name:
            start += int.from_bytes(whole[start : start + 4])
            assert start < end, name
        size = int.from_bytes(whole[start : start + 4])
        inside.append((start, size))
        start, end = start + 8, start + size
    at, size = inside.pop()
    entries = b"".join(struct.pack(">II", 1, duration) for duration in durations)
    table = struct.pack(">I4sII", 16 + len(entries), b"stts", 0, len(durations)) + entries
    changed = bytearray(whole[:at] + table + whole[at + size :])
    for at, outer in inside:
        changed[at : at + 4] = (outer + len(table) - size).to_bytes(4)
    path.write_bytes(changed)


def shades(path: Path, count: int) -> Path:
    """Frame number i is of the grey 16 + 7 i: nobody to draw over it, and each to be told from the others."""
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    for number in range(count):
        out.write(np.full((48, 64, 3), 16 + 7 * number, np.uint8))
    out.release()
    return path


def shown_in(path: Path) -> list[int]:
    """The numbers of the frames, the first of which is 0: codecs shift all shades alike."""
    means = [frame.mean() for frame in frames_of(path)]
    return [round((mean - means[0]) / 7) for mean in means]


@pytest.mark.parametrize("frames", [None, 9])
def test_a_video_of_variable_rate_is_drawn_in_step(tmp_path: Path, frames: int | None) -> None:
    """Six frames of 1/20 s, then six of 3/20: every drawn frame shows what the source shows at that time."""
    video, count = shades(tmp_path / "a.mp4", 12), frames or 12
    unevenly(video, [512] * 6 + [1536] * 6)
    summary = look(video, out=tmp_path / "out", frames=frames)
    times = [frame["time_s"] for frame in images(tmp_path / "out")]
    assert times == pytest.approx([*np.arange(7) / 20, *(0.3 + 0.15 * np.arange(1, 6))][:count], abs=1e-3)
    assert (summary.videos[0]["rate"], summary.videos[0]["drawn_rate"]) == (10, pytest.approx(20, abs=0.01))
    shown = shown_in(tmp_path / "out" / "a_pose.mp4")
    assert len(shown) == round(times[-1] * 20) + 1
    assert shown == [sum(time <= at / 20 + 1e-3 for time in times) - 1 for at in range(len(shown))]


@pytest.mark.parametrize(
    ("times", "claimed", "expected"),
    [
        (np.arange(30) / 25, 25.0, (25.0, False)),
        (np.arange(30) / 29.97, 30.0, (30.0, False)),
        (np.round(np.arange(30) / 30, 2), 30.0, (30.0, False)),  # rounded times are no other rate
        (np.arange(30) / 12.5, 25.0, (12.5, False)),  # the file claims what it does not hold
        (np.array([0, 0.04, 0.08, 0.2, 0.24, 0.4]), 15.0, (25.0, True)),
        (np.array([0, 0.001, 0.4, 0.8]), 10.0, (75.0, True)),  # held 20 places at most on average
        (np.array([0, 0.001, 0.05, 0.08]), 10.0, (120.0, True)),
        (np.zeros(9), 24.0, (24.0, False)),  # no times
        (np.array([0, 0.1, 0.05]), 24.0, (24.0, False)),
        (np.array([0.0, np.nan]), 24.0, (24.0, False)),
        (np.array([0.0]), 24.0, (24.0, False)),
        (np.zeros(0), 24.0, (24.0, False)),
    ],
)
def test_the_pace_of_a_drawn_video(times: np.ndarray, claimed: float, expected: tuple[float, bool]) -> None:
    found = frame_rate_from_times(times, claimed)
    assert (found.rate, found.uneven) == (pytest.approx(expected[0]), expected[1])


def test_few_frames_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector never runs ahead of the network by more than one chunk."""
    monkeypatch.setattr("hmlpe.predict.job.CHUNK_IMAGES", 4)
    detector, estimator = Beacon(), Fixed()
    ahead = []

    class Watching(Fixed):
        def __call__(self, crops: np.ndarray) -> Any:
            ahead.append(len(detector.asked) - sum(estimator.batches))
            return estimator(crops)

    look(write_video(tmp_path / "a.avi", 22), out=tmp_path / "out", who=predictor(detector, Watching()))
    assert max(ahead) == 4 and sum(estimator.batches) == 22


def test_at_most_so_many_frames(tmp_path: Path) -> None:
    summary = look(write_video(tmp_path / "a.avi", 30), out=tmp_path / "out", frames=7)
    assert summary.images == 7 and not summary.videos[0]["ends_early"]
    assert len(frames_of(tmp_path / "out" / "a_pose.mp4")) == 7


def test_a_video_that_ends_early_gives_what_is_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And the decoder's own messages are not shown."""
    video = write_video(tmp_path / "a.avi", 80, size=(320, 240))
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    summary = look(video, out=tmp_path / "out")
    (said,) = summary.videos
    assert 20 < said["frames"] < 60 and said["ends_early"] and said["frames_expected"] == 80
    assert len(images(tmp_path / "out")) == said["frames"] == len(frames_of(tmp_path / "out" / "a_pose.mp4"))
    assert not summary.skipped
    output = capfd.readouterr()
    assert output.out == "" and all("a.avi: " in line for line in output.err.splitlines() if line.strip())


def mp4_without_index(path: Path) -> None:
    write_video(path, 40, code="mp4v")
    path.write_bytes(path.read_bytes()[:900])


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b""), lambda path: path.write_text("no video"), mp4_without_index, playlist]
)
def test_what_is_no_video_is_skipped(tmp_path: Path, make: Any, capfd: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "bad.mp4")
    good = write_video(tmp_path / "good.avi", 3)
    summary = look(tmp_path / "bad.mp4", good, out=tmp_path / "out")
    ((name, reason),) = summary.skipped
    assert name == "bad.mp4" and str(tmp_path / "bad.mp4") in reason
    assert summary.images == 3
    assert "moov" not in capfd.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good_pose.mp4", "poses.csv", "poses.json"]


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (1, 1)])
def test_odd_sizes_get_a_line_more(tmp_path: Path, size: tuple[int, int]) -> None:
    """Nothing is cut off or resized: what is added is at the right and below."""
    image = cv2.resize(lit(30, 20), size)
    with open_video_writer(tmp_path / "a.mp4", 10.0) as out:
        out.add(image)
        out.add(lit(20, 20, (31, 22)))  # a camera that changes its size
    first, _ = frames_of(tmp_path / "a.mp4")
    assert first.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert np.abs(first[: size[1], : size[0]].astype(int) - image).mean() < 6


def test_a_video_without_frames_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frame"), open_video_writer(tmp_path / "a.mp4", 10.0):
        pass
    assert not [*tmp_path.iterdir()]


def test_photos_and_videos_in_one_call_keep_their_order(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "p.png"), lit(30, 20))
    assert cv2.imwrite(str(tmp_path / "q.png"), lit(30, 20))
    video = write_video(tmp_path / "a.avi", 2)
    look(tmp_path / "q.png", video, tmp_path / "p.png", out=tmp_path / "out", draw=False)
    assert [one["image"] for one in images(tmp_path / "out")] == ["q.png", "a.avi#0", "a.avi#1", "p.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["poses.csv", "poses.json"]


class Camera:
    """Stands for cv2.VideoCapture: gives pictures for ever, as a camera does."""

    def __init__(self, number: int, *_: Any) -> None:
        self.number = number
        self.given = 0

    def isOpened(self) -> bool:
        return self.number == 3

    def get(self, _: int) -> float:
        return -1.0

    def read(self) -> tuple[bool, np.ndarray]:
        self.given += 1
        return True, lit(20, 20)

    def release(self) -> None:
        pass


def test_a_camera_runs_until_enough_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmlpe.predict.video.cv2.VideoCapture", Camera)
    summary = look(3, out=tmp_path / "out", frames=20)
    times = [frame["time_s"] for frame in images(tmp_path / "out")]
    assert len(times) == 20 and times[0] == 0 and times == sorted(times)
    assert images(tmp_path / "out")[0]["image"] == "camera3#0" and not summary.videos[0]["ends_early"]


def test_a_slow_camera_is_drawn_in_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it took: what a network needs for a frame makes a camera slower than it says it is."""
    clock = iter([5.0, 5.2, 5.24, 5.6, 5.601])
    monkeypatch.setattr("hmlpe.predict.video.cv2.VideoCapture", Camera)
    monkeypatch.setattr("hmlpe.predict.video.time", SimpleNamespace(monotonic=lambda: next(clock)))
    look(3, out=tmp_path / "out", frames=5)
    monkeypatch.undo()
    assert len(frames_of(tmp_path / "out" / "camera3_pose.mp4")) == 25 * 0.6 + 2  # of 25 a second; none is lost


def test_a_camera_runs_until_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is its regular end: the files are whole and nothing says that it was stopped."""

    class Interrupted(Camera):
        def read(self) -> tuple[bool, np.ndarray]:
            if self.given == 21:
                os.kill(os.getpid(), signal.SIGINT)
            return super().read()

    capture = cv2.VideoCapture
    monkeypatch.setattr("hmlpe.predict.video.cv2.VideoCapture", Interrupted)
    summary = look(3, out=tmp_path / "out")
    monkeypatch.setattr("hmlpe.predict.video.cv2.VideoCapture", capture)
    assert len(images(tmp_path / "out")) == 22 == len(frames_of(tmp_path / "out" / "camera3_pose.mp4"))
    assert not summary.stopped and not summary.skipped


def test_no_such_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmlpe.predict.video.cv2.VideoCapture", Camera)
    summary = look(4, out=tmp_path / "out")
    assert [one.reason for one in summary.skipped] == ["camera4: this camera cannot be opened"]
