"""Videos and cameras are read as streams, and what they give is whole, however they end."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hmlpe.errors import UserError
from hmlpe.predict.job import Options, Summary
from hmlpe.predict.run import run
from hmlpe.predict.sources import find
from hmlpe.predict.video import video_file

from .fakes import Beacon, Fixed, lit, predictor, write_video


def look(*sources: Path | int, out: Path, who: Any = None, **options: Any) -> Summary:
    found = find([one if isinstance(one, int) else str(one) for one in sources])
    return run(found, who or predictor(), Options(out, **options))


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


def test_few_frames_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector never runs ahead of the network by more than one chunk."""
    monkeypatch.setattr("hmlpe.predict.videos.TOGETHER", 4)
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
    with video_file(tmp_path / "a.mp4", 10.0) as out:
        out.add(image)
        out.add(lit(20, 20, (31, 22)))  # a camera that changes its size
    first, _ = frames_of(tmp_path / "a.mp4")
    assert first.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert np.abs(first[: size[1], : size[0]].astype(int) - image).mean() < 6


def test_a_video_without_frames_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frame"), video_file(tmp_path / "a.mp4", 10.0):
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
