"""Buffy Stickmen V3.01 (Ferrari, Marin-Jimenez & Zisserman, Progressive Search Space Reduction, CVPR 2008).

748 frames of five episodes of a television series, one person each; published at robots.ox.ac.uk/~vgg/data/stickmen.
No licence is known: for research use; cite the paper. Coordinates are assumed to be MATLAB's, 1-based (grade I of
docs/facts.md), and are converted to 0-based. Frames of an episode at most 50 apart are assumed to be of one shot. The
set includes the detections of Eichner, Marin-Jimenez, Zisserman & Ferrari (2D articulated human pose estimation and
retrieval in (almost) unconstrained still images, IJCV 2012) for the test episodes, in `techrep2010_buffy_results.mat`
(FACTS 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.folder import FilmFrame, FolderSource, shots_of
from hmlpe.data.sources.matlab import read_struct_array, required_box, required_field, required_whole_number
from hmlpe.data.sources.stickmen import ORIGIN_PX, Stickman, read_stickmen
from hmlpe.data.sources.sticks import JOINTS, MEANINGS, window_of_sticks
from hmlpe.data.sources.stickset import person_of_stickman
from hmlpe.detect.match import detection_of
from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.skeleton import Skeleton

Box = Float[np.ndarray, " 4"]
EpisodeFrame = tuple[int, int]  # episode, frame number
EPISODES = (2, 3, 4, 5, 6)


def read_detections(path: Path) -> dict[EpisodeFrame, list[Box]]:
    """Read a detector's boxes; return (episode, frame number) -> boxes x0 y0 x1 y1 in 0-based pixels, possibly none.

    Raises:
        UserError: the file is missing or invalid; names file, record and field.
    """
    if not path.is_file():
        raise UserError(f"{path}: is missing; add it, or set data.source.detections=null to go without detections")
    found: dict[EpisodeFrame, list[Box]] = {}
    for i, record in enumerate(read_struct_array(path, "techrep2010_buffy"), start=1):
        where = f"{path}, record {i}"
        frame = required_whole_number(record, "episode", where), required_whole_number(record, "frame", where)
        if frame in found:
            raise UserError(f"{where}: episode {frame[0]}, frame {frame[1]} already has a record; fetch the file again")
        found[frame] = [
            required_box(stickman, "det", where) - ORIGIN_PX
            for stickman in np.atleast_1d(required_field(record, "stickmen", where))
        ]
    return found


class BuffySource(FolderSource):
    """Reader of Buffy; `root` holds data/buffy_s5e2_sticks.txt to buffy_s5e6_sticks.txt, images/ and the detections.

    Args:
        root: the set's folder.
        skeleton: the joints to fill.
        detections: name of the file in `root` with a detector's boxes; None: `detection_px` is NaN for everyone.
        train_episodes: numbers of the episodes for training; the others are for testing.

    Raises:
        UserError: the folder, skeleton or an option is invalid.
    """

    name = "buffy"
    contents = "Buffy's data/ and images/"
    known_joints = frozenset(JOINTS)
    meanings = MEANINGS

    def __init__(
        self,
        root: str | None,
        skeleton: Skeleton,
        detections: str | None = "techrep2010_buffy_results.mat",
        train_episodes: Sequence[int] = (3, 4),
    ) -> None:
        super().__init__(root, skeleton)
        if detections is not None and not _is_file_name(detections):
            raise UserError(f"data.source.detections: must be a file in {root}, or null, got {detections!r}")
        if not isinstance(train_episodes, Sequence) or any(episode not in EPISODES for episode in train_episodes):
            raise UserError(f"data.source.train_episodes: must be a list of some of {EPISODES}, got {train_episodes!r}")
        self.detections = None if detections is None else self.root / detections
        self.train_episodes = frozenset(train_episodes)

    def annotation_files(self) -> list[Path]:
        """Return the five annotation files, and the file of detections if it is used."""
        files = [self._annotation_file(episode) for episode in EPISODES]
        return files if self.detections is None else [*files, self.detections]

    def read(self) -> list[Person]:
        """Read all people, by episode, in the files' order. Raises UserError that names file and line or record."""
        stickmen = {
            (episode, int(Path(stickman.image).stem)): stickman
            for episode in EPISODES
            for stickman in self._read_stickmen(episode)
        }
        found = {} if self.detections is None else read_detections(self.detections)
        self._check_same_frames(stickmen.keys(), found)
        shots = shots_of([FilmFrame(f"s5e{episode}", number) for episode, number in stickmen])
        return [
            replace(self._to_person(frame, stickman, found.get(frame, [])), shot=shot)
            for (frame, stickman), shot in zip(stickmen.items(), shots, strict=True)
        ]

    def labels_digest(self) -> str:
        """Return a digest of the files' names and bytes, and of the numbers of the training episodes."""
        return digest_of([super().labels_digest(), sorted(self.train_episodes)])

    def _annotation_file(self, episode: int) -> Path:
        return self.root / "data" / f"buffy_s5e{episode}_sticks.txt"

    def _read_stickmen(self, episode: int) -> list[Stickman]:
        """Read the annotated stickmen of an episode, in the file's order."""

        def to_image_name(number: str, where: str) -> str:
            if not (number.isascii() and number.isdecimal() and len(number) <= 6):
                raise UserError(f"{where}: expected a frame's number, got {number[:40]!r}")
            return f"buffy_s5e{episode}_original/{int(number):06d}.jpg"

        return read_stickmen(self._annotation_file(episode), (0,), to_image_name)

    def _to_person(self, frame: EpisodeFrame, stickman: Stickman, boxes: Sequence[Box]) -> Person:
        """Convert the stickman of a frame to a person; `boxes` are the detections in this frame."""
        split: Split = "train" if frame[0] in self.train_episodes else "test"
        detection = detection_of(window_of_sticks(stickman.sticks_px), boxes)
        return person_of_stickman(stickman, split, self.skeleton, detection)

    def _check_same_frames(self, annotated: Collection[EpisodeFrame], detected: Collection[EpisodeFrame]) -> None:
        """Raise UserError if, in an episode with detections, a frame is in only one of annotations and detections.

        Otherwise a truncated file would look like a detector that misses people, or like a smaller set.
        """
        episodes = {episode for episode, _ in detected}
        for episode, number in sorted({frame for frame in annotated if frame[0] in episodes} ^ set(detected)):
            here = self._annotation_file(episode) if (episode, number) in annotated else self.detections
            raise UserError(f"{here}: frame {number} of episode {episode} is in no other file; fetch all files again")


def _is_file_name(name: object) -> bool:
    """Return whether this is the name of a file without a folder."""
    return isinstance(name, str) and name not in ("", "..") and PurePosixPath(name).name == name
