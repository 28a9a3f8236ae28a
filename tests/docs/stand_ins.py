"""What a stranger would need to type the pages' commands: small sets in the forms of FLIC and Buffy, and a photo."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import scipy.io
from matplotlib import cbook
from PIL import Image

from hmlpe.data.sources.sticks import window_of_sticks

from ..data.conftest import SLOT, coords, person, write_flic
from ..data.stick_files import man, sticks
from ..data.test_buffy_detections import RESULTS

PEOPLE = 28  # of FLIC, each in a film of its own
FRAMES = {2: 3, 3: 12, 4: 4, 5: 2, 6: 2}  # of Buffy's episodes, each in a shot of its own
JOINTS = {"left_elbow": "lelb", "left_wrist": "lwri", "right_elbow": "relb", "right_wrist": "rwri"}
PLACES = {"left_elbow": 2, "left_wrist": 3, "right_elbow": 5, "right_wrist": 6}  # of docs/predictions.md, from 1


def flic_name(number: int) -> str:
    return f"film-{number:03d}-disc1-{1000 * number:08d}.jpg"


def is_test(number: int) -> bool:
    return number % 4 == 0


def write_sets(root: Path) -> None:
    """`root`/FLIC, flic (the same) and buffy."""
    rows = [
        person(
            flic_name(i),
            "test" if is_test(i) else "train",
            moviename=f"film-{i:03d}",
            currframe=np.array([[1000 * i]], np.int32),
        )
        for i in range(PEOPLE)
    ]
    write_flic(root / "FLIC", rows)
    shutil.copytree(root / "FLIC", root / "flic")
    write_buffy(root / "buffy")


def write_buffy(root: Path) -> None:
    """Buffy, with detections of all test people."""
    rng = np.random.default_rng(0)
    (root / "data").mkdir(parents=True)
    found = []
    for episode, frames in FRAMES.items():
        images = root / "images" / f"buffy_s5e{episode}_original"
        images.mkdir(parents=True)
        lines = []
        for frame in range(1000, 1000 * (frames + 1), 1000):
            noise = rng.integers(0, 256, (90, 140, 3), dtype=np.uint8)
            Image.fromarray(noise).save(images / f"{frame:06d}.jpg")
            lines += [str(frame), *man(0)]
            if episode in (2, 5, 6):
                found.append((episode, frame))
        (root / "data" / f"buffy_s5e{episode}_sticks.txt").write_text("\n".join(lines) + "\n")
    stickman = np.empty((1, 1), dtype=[("coor", object), ("det", object), ("detscore", object)])
    stickman[0, 0] = (sticks(0).T + 1, window_of_sticks(sticks(0)) + 1, 0.5)
    records = np.empty((1, len(found)), dtype=[("stickmen", object), ("episode", object), ("frame", object)])
    for place, (episode, frame) in enumerate(found):
        records[0, place] = (stickman, episode, frame)
    scipy.io.savemat(root / RESULTS, {"techrep2010_buffy": records})


def write_files(folder: Path, datasets: Path) -> None:
    """In the folder where commands are typed: a photo, and other methods' answers for the test people of the sets."""
    shutil.copy(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False), folder / "photo.jpg")
    shutil.copy(datasets / "buffy" / RESULTS, folder)
    tested = [i for i in range(PEOPLE) if is_test(i)]
    points = {joint: coords()[:, SLOT[slot] - 1] for joint, slot in JOINTS.items()}  # MATLAB's pixels
    lines = [f"{flic_name(i)},1,{joint},{x - 1},{y - 1}" for i in tested for joint, (x, y) in points.items()]
    (folder / "theirs.csv").write_text("image,person,joint,x,y\n" + "\n".join(lines) + "\n")
    array = np.full((2, max(PLACES.values()), len(tested)), np.nan)
    for joint, place in PLACES.items():
        array[:, place - 1] = points[joint][:, None]
    scipy.io.savemat(folder / "their_arrays.mat", {"theirs": array})
