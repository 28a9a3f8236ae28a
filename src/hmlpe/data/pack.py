"""A pack on disk: crops of all people, their labels, and a manifest with hashes and counts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt64

from hmlpe.data.record import Attribute
from hmlpe.data.selection import SelectedPerson, annotation_place
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file, read_json
from hmlpe.skeleton import Skeleton

VERSION = 4
FILES = ("crops.npy", "test_crops.npy", "people.npz", "missed.npz", "manifest.json")
EXTRA = ("sheet.png",)


@dataclass(frozen=True, eq=False)
class PeopleColumns:
    """The annotations that a pack stores, as arrays with one row per person.

    They are the fields of `record.Person`, with coordinates in image pixels, and in addition: `set`, the name of the
    data set; `box_px`, the box that the crop shows; and `hash` and `crop_hash`, the perceptual hashes of the image and
    of the crop (see `leaks`).
    """

    set: np.ndarray
    image: np.ndarray
    where: np.ndarray
    split: np.ndarray
    identity: np.ndarray
    shot: np.ndarray
    hash: UInt64[np.ndarray, " person"]
    crop_hash: UInt64[np.ndarray, " person"]
    joints_px: Float[np.ndarray, "person joint 2"]
    occluded: Bool[np.ndarray, "person joint"]
    box_px: Float[np.ndarray, "person 4"]
    detection_px: Float[np.ndarray, "person 4"]
    window_px: Float[np.ndarray, "person 4"]
    torso_px: Float[np.ndarray, " person"]
    torso_swapped_px: Float[np.ndarray, " person"]
    sticks_px: Float[np.ndarray, "person stick 4"]
    faces_backwards: Bool[np.ndarray, " person"]
    attributes: Float[np.ndarray, "person attribute"]

    def select_rows(self, selection: np.ndarray) -> PeopleColumns:
        """Return the columns of some people only; `selection` is an array of row numbers, or a mask."""
        return PeopleColumns(**{field.name: getattr(self, field.name)[selection] for field in fields(self)})

    def concatenate(self, others: PeopleColumns) -> PeopleColumns:
        """Return new columns with these people, followed by the people of `others`."""
        joined = ((f.name, np.concatenate([getattr(self, f.name), getattr(others, f.name)])) for f in fields(self))
        return PeopleColumns(**dict(joined))

    def to_arrays(self) -> dict[str, Any]:
        """Return name -> array, as stored in a pack's file; `attributes` is left out if there are none."""
        return {name: array for name, array in asdict(self).items() if name != "attributes" or array.shape[1]}

    @property
    def image_ids(self) -> np.ndarray:
        """Return (person,) "set/image", the name of each person's image, unique in the pack."""
        return np.strings.add(np.strings.add(self.set, "/"), self.image)

    @property
    def person_ids(self) -> np.ndarray:
        """Return (person,) "set/identity", who each person is; empty where unknown."""
        return self._prefix_with_set(self.identity)

    @property
    def shot_ids(self) -> np.ndarray:
        """Return (person,) "set/shot", the shot of each person's image; empty where unknown."""
        return self._prefix_with_set(self.shot)

    @property
    def resampling_groups(self) -> np.ndarray:
        """Return (person,) each person's group for resampling: the shot or, if unknown, the image.

        The people of a group are not independent samples.
        """
        return np.where(self.shot == "", self.image_ids, self.shot_ids)

    def _prefix_with_set(self, column: np.ndarray) -> np.ndarray:
        """Return "set/value" for each value of a column of texts; an empty value stays empty."""
        return np.where(column == "", "", np.strings.add(np.strings.add(self.set, "/"), column))


def columns_of(
    members: Sequence[SelectedPerson],
    hashes: UInt64[np.ndarray, " person"] | None = None,
    crop_hashes: UInt64[np.ndarray, " person"] | None = None,
    attributes: Sequence[Attribute] = (),
) -> PeopleColumns:
    """Convert the people selected for a pack to arrays with one row per person.

    Args:
        members: the people, with their boxes.
        hashes: (person,) perceptual hashes of their images; None: zeros, as the images were not read.
        crop_hashes: (person,) see `leaks.crop_hashes_if_static_camera`; None: zeros.
        attributes: the attributes to keep.
    """
    unhashed = np.zeros(len(members), dtype=np.uint64)
    people = [member.person for member in members]
    sticks = max(len(person.sticks_px) for person in people)
    return PeopleColumns(
        set=np.array([member.data_set.source.name for member in members]),
        image=np.array([person.image for person in people]),
        where=np.array([annotation_place(person) for person in people]),
        split=np.array([person.split for person in people]),
        identity=np.array([person.identity for person in people]),
        shot=np.array([person.shot for person in people]),
        hash=unhashed if hashes is None else hashes,
        crop_hash=unhashed if crop_hashes is None else crop_hashes,
        joints_px=np.stack([person.joints_px for person in people]),
        occluded=np.stack([person.occluded for person in people]),
        box_px=np.stack([member.box_px for member in members]),
        detection_px=np.stack([person.detection_px for person in people]),
        window_px=np.stack([person.window_px for person in people]),
        torso_px=np.array([person.torso_px for person in people]),
        torso_swapped_px=np.array([person.torso_swapped_px for person in people]),
        sticks_px=np.stack([_pad_sticks(person.sticks_px, sticks) for person in people]),
        faces_backwards=np.array([person.faces_backwards for person in people]),
        attributes=np.array(
            [[person.attributes.get(one.name, np.nan) for one in attributes] for person in people], dtype=np.float64
        ),
    )


def _pad_sticks(sticks: np.ndarray, count: int) -> np.ndarray:
    """Return the sticks (stick, 4) with rows of NaN at the end, so that there are `count`."""
    return np.concatenate([sticks, np.full((count - len(sticks), 4), np.nan)])


@dataclass(frozen=True, eq=False)
class Pack:
    """A prepared pack that was opened: the crops, annotations and manifest of all its people.

    Attributes:
        crops: (person, side, side, 3) RGB, from which training crops are cut.
        test_crops: (person, size, size, 3) RGB, by the test-crop rule (FACTS 4): exactly the pictures that
            `hmlpe-predict` makes of these boxes (`geometry.crop_resized`).
        people: the columns, in the same order.
        missed: test people without a box (the detector missed them); their `box_px` is NaN.
        manifest: content of manifest.json; `digest` identifies the data, `skeleton` the joints.
    """

    crops: UInt8[np.ndarray, "person side side 3"]
    test_crops: UInt8[np.ndarray, "person size size 3"]
    people: PeopleColumns
    missed: PeopleColumns
    manifest: dict[str, Any]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Return the definitions of the attributes in `people.attributes`, in the order of its columns."""
        return attributes_in(self.manifest)

    def attributes_of(self, set_name: str) -> tuple[Attribute, ...]:
        """Return the attributes of the data set with this name."""
        own = self.manifest["sets"][set_name].get("attributes", {})
        return tuple(one for one in self.attributes if one.name in own)

    @property
    def size_px(self) -> int:
        """Return the side of the test crops in pixels, which is the side of the network's input."""
        return int(self.test_crops.shape[1])

    def check_size(self, size_px: int) -> None:
        """Raise UserError unless the test crops have the side `size_px` of the network's input."""
        if size_px != self.size_px:
            raise UserError(
                f"size_px: the network takes crops of {size_px} px, but the pack's test crops are {self.size_px} px; "
                f"prepare a pack for it: hmlpe-prepare size_px={size_px} paths.data=... (or data.name=...)"
            )

    def rows_of_split(self, split: str) -> np.ndarray:
        """Return the rows of the people of a split, "train" or "test"."""
        return np.flatnonzero(self.people.split == split)


def attributes_in(manifest: Mapping[str, Any]) -> tuple[Attribute, ...]:
    """Return the attributes that a pack's manifest lists; empty if it lists none."""
    return tuple(Attribute(one["name"], tuple(one["classes"])) for one in manifest.get("attributes", []))


def open_pack(folder: Path, skeleton: Skeleton) -> Pack:
    """Open the pack in a folder. The crops are memory-mapped, and so stay on disk until they are read.

    Raises:
        UserError: the pack is missing, damaged, of another format version, or of another skeleton.
    """
    if not (folder / "manifest.json").is_file():
        place = "" if folder.parent == Path("data") else f" paths.data={shlex.quote(str(folder.parent))}"
        root = "" if folder.name == "embedded" else " (and data.root=..., or the experiment=... that names it)"
        raise UserError(f"{folder}: no pack here; make it with: hmlpe-prepare data={folder.name}{place}{root}")
    try:
        return _read_pack(folder, read_json(folder / "manifest.json"), skeleton)
    except (OSError, ValueError, TypeError, LookupError, EOFError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder}: pack is damaged ({reason}); delete the folder and prepare it again") from error


def _read_pack(folder: Path, manifest: dict[str, Any], skeleton: Skeleton) -> Pack:
    """Read the pack in a folder. Raises UserError or, if the pack is damaged, any error of reading its files."""
    if manifest["version"] != VERSION:
        raise UserError(f"{folder}: pack of version {manifest['version']}, not {VERSION}; delete it and prepare again")
    if manifest["skeleton"] != skeleton.as_dict():
        raise UserError(
            f"{folder}: pack of another skeleton (joints {manifest['skeleton']['joints']}); prepare it again"
        )
    people, missed = (_read_columns(folder, name, manifest) for name in ("people.npz", "missed.npz"))
    crops, test_crops = (np.load(folder / name, mmap_mode="r") for name in FILES[:2])
    if {len(crops), len(test_crops), len(people.image)} != {manifest["counts"]["people"]}:
        raise ValueError("its files disagree in length")
    if people.attributes.shape[1] != len(attributes_in(manifest)):
        raise ValueError("its files disagree in attributes")
    return Pack(crops, test_crops, people, missed, manifest)


def _read_columns(folder: Path, file_name: str, manifest: dict[str, Any]) -> PeopleColumns:
    """Read the columns from a file of the pack. Raises ValueError if its digest is not the one in the manifest."""
    if digest_of_file(folder / file_name) != manifest["files"][file_name]:
        raise ValueError(f"{file_name} does not match the manifest")
    with np.load(folder / file_name) as stored:
        arrays = {"attributes": np.empty((len(stored["image"]), 0)), **stored}
    return PeopleColumns(**{field.name: arrays[field.name] for field in fields(PeopleColumns)})


def check_pack(folder: Path) -> dict[str, Any]:
    """Return the manifest of a pack, after checking that all its files have the digests in the manifest.

    Raises:
        UserError: a file is missing, or its digest differs; the message names the file.
    """
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{folder}: no pack here to check")
    manifest: dict[str, Any] = read_json(folder / "manifest.json")
    try:
        if manifest["version"] != VERSION:
            raise UserError(f"{folder}: pack of version {manifest['version']}, not {VERSION}; prepare it again")
        wanted = dict(manifest["files"])
        body = {key: value for key, value in manifest.items() if key != "manifest_digest"}
        whole = digest_of(body) == manifest["manifest_digest"] and set(wanted) == set(FILES) - {"manifest.json"}
    except (TypeError, ValueError, LookupError) as error:
        raise UserError(f"{folder}/manifest.json: is damaged; delete the folder and prepare it again") from error
    for name, digest in wanted.items():
        if not (folder / name).is_file() or digest_of_file(folder / name) != digest:
            raise UserError(f"{folder}/{name}: does not match the manifest; delete the folder and prepare it again")
    if not whole:
        raise UserError(f"{folder}/manifest.json: is damaged; delete the folder and prepare it again")
    return manifest


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of all people of a pack, under one convention of left and right (the argument `sides` of `labels_of`).

    Attributes:
        joints_px: (person, joint, 2) in image pixels; NaN where a joint is unknown, or occluded and not to be used.
        occluded: (person, joint) mask of the joints that are marked occluded, whether used or not.
        torso_px: (person,) the length that torso-normalised protocols divide by: |left shoulder - right hip| of these
            labels, except that the hips never swap (`record.Person.torso_swapped_px`).
        box_px: (person, 4) the box x0 y0 x1 y1 in the image that the crop shows.
        attributes: (person, attribute) values in the order of `Pack.attributes`, NaN where unknown.
    """

    joints_px: Float[np.ndarray, "person joint 2"]
    occluded: Bool[np.ndarray, "person joint"]
    torso_px: Float[np.ndarray, " person"]
    box_px: Float[np.ndarray, "person 4"]
    attributes: Float[np.ndarray, "person attribute"]


def labels_of(people: PeopleColumns, skeleton: Skeleton, sides: str, use_occluded: bool) -> Labels:
    """Return the labels of the people, with left and right as the convention `sides` defines them.

    Args:
        sides: "person" keeps the person's left and right; "image" follows MODEC: left and right swap for people who
            face backwards, so that the labelled left lies on the image's right for everyone (FACTS 6).
        use_occluded: whether joints that are marked occluded but have coordinates are used; else they become NaN.

    Raises:
        UserError: `sides` is neither "person" nor "image".
    """
    if sides not in ("image", "person"):
        raise UserError(f"data.sides: must be image or person, got {sides!r}")
    joints, occluded = people.joints_px.copy(), people.occluded.copy()
    if not use_occluded:
        joints[occluded] = np.nan
    torso = people.torso_px
    if sides == "image":
        swapped = people.faces_backwards
        joints[swapped] = joints[swapped][:, skeleton.mirror_order]
        occluded[swapped] = occluded[swapped][:, skeleton.mirror_order]
        torso = np.where(swapped, people.torso_swapped_px, torso)
    return Labels(joints, occluded, torso, people.box_px, people.attributes)
