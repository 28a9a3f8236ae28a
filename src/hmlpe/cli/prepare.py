"""hmlpe-prepare: data sets as they are distributed -> a pack of crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError
from hmlpe.settings import Component, DataSettings, NonNegativeInt, PositiveInt, Settings, build_component
from hmlpe.spelling import is_plain

SETTINGS = {  # key of the manifest -> what a reader calls it
    "version": "version",
    "skeleton": "skeleton",
    "crop_px": "crop size",
    "size_px": "input size",
    "near_duplicates": "near_duplicates",
    "keep_neighbours": "keep_neighbours",
    "boxes": "boxes",
    "sources": "sets, annotations or images",
    "attributes": "attributes",
}


class PrepareSection(Settings, extra="forbid"):
    """The settings under `prepare`, as in conf/prepare.yaml, which explains them."""

    workers: PositiveInt
    sheet: NonNegativeInt
    check: bool


class PrepareSettings(Settings):
    """The settings of hmlpe-prepare: its own, and those of a run that determine the pack or its contact sheet."""

    prepare: PrepareSection
    data: DataSettings
    skeleton: Component
    windows: Component
    size_px: PositiveInt


def prepare_pack(config: DictConfig) -> None:
    """Prepare a pack of crops from the configured sets, or check the existing pack, and print a summary of it."""
    from hmlpe.data.collection import build_data_sets
    from hmlpe.data.pack import check_pack
    from hmlpe.data.prepare import prepare
    from hmlpe.files import read_json

    settings = PrepareSettings.from_config(config)
    data, how = settings.data, settings.prepare
    folder, name = Path(data.pack), str(data.name)
    if not name.strip(".") or Path(name).name != name or not is_plain(name):
        raise UserError(f"data.name: must be a plain name, as it names a folder, got {name!r}")
    if how.check:
        print(pack_summary(folder, "is intact", check_pack(folder)))
        return
    before = read_json(folder / "manifest.json") if (folder / "manifest.json").is_file() else None
    sets, absent = build_data_sets(data)
    manifest, was_there = prepare(
        sets,
        skeleton=build_component("skeleton", settings.skeleton),
        folder=folder,
        crop_px=data.crop_px,
        size_px=settings.size_px,
        allow_missing=data.allow_missing,
        near_duplicates=data.near_duplicates,
        workers=how.workers,
        absent=absent,
        keep_neighbours=data.keep_neighbours,
    )
    state = "is already prepared" if was_there else "prepared"
    if isinstance(before, dict) and not was_there:
        changed = [name for key, name in SETTINGS.items() if before.get(key) != manifest.get(key)]
        held = ", ".join(before.get("sources", {})) or "other people"
        state += f", replacing a pack of {held} with different {', '.join(changed) or 'people'}"
    print(pack_summary(folder, state, manifest))
    sheet = folder / "sheet.png"
    if how.sheet and not sheet.exists():
        _draw_sheet(settings, folder, sheet)
    if sheet.exists():
        print(f"look at some of them before you train: {sheet}")


def pack_summary(folder: Path, state: str, manifest: dict[str, Any]) -> str:
    """Return a summary of a pack for the terminal: how many people it holds, and how many are left out, and why.

    If there are several sets, each has a line of its own.

    Args:
        folder: the pack's folder.
        state: what has been done with the pack, e.g. "prepared".
        manifest: the content of its manifest.json.
    """
    sets = manifest["sets"]
    several = len(sets) > 1
    lines = [f"{folder} {state}: {_count_people_in_words(manifest if several else next(iter(sets.values())))}"]
    if several:
        lines += [f"  {name}: {_count_people_in_words(one)}" for name, one in sets.items()]
    for name, one in sets.items():
        lines += [f"  {name}: {line}" for line in _set_warnings(one)]
    lines += [f"  {line}" for line in _attribute_lines(manifest)]
    if not manifest["counts"]["train"]:
        lines.append("without train people hmlpe-train refuses this pack; networks can be evaluated on it")
    if manifest["absent"]:
        lines.append(f"  not in it: {', '.join(manifest['absent'])}")
    return "\n".join(lines)


def _count_people_in_words(manifest: dict[str, Any]) -> str:
    """Return the numbers of people kept and left out, in words, of a manifest or of a set's entry in it."""
    counts = manifest["counts"]
    left_out = [
        f"{' and '.join(f'{count} {split}' for split, count in splits.items() if count)} people ({reason})"
        for reason, splits in manifest["skipped_counts"].items()
    ]
    left_out += [f"{count} annotations ({reason})" for reason, count in manifest.get("not_people", {}).items()]
    return f"{counts['train']} train and {counts['test']} test people" + (
        f"; left out: {', '.join(left_out)}" if left_out else ""
    )


def _attribute_lines(manifest: dict[str, Any]) -> list[str]:
    """Return a line for each attribute that says for how many people of each split its value is known."""
    from hmlpe.data.pack import attributes_in

    lines = []
    for one in attributes_in(manifest):
        said = [of["attributes"][one.name] for of in manifest["sets"].values() if one.name in of.get("attributes", {})]
        counts = [
            f"{sum(of[split] for of in said)} of {manifest['counts'][split]} {split}" for split in ("train", "test")
        ]
        what = f" ({', '.join(one.classes)})" if one.classes else ""
        lines.append(f"attribute {one.name}{what}: known for {' and '.join(counts)} people")
    return lines


def _set_warnings(set_manifest: dict[str, Any]) -> list[str]:
    """Return warnings about a set's splits, from the set's entry in the manifest.

    There is one if both splits have people of the same camera shots, and one if most training people are left out as
    near-duplicates of test images.
    """
    from hmlpe.data.leaks import NEAR_DUPLICATE

    near, count, found = set_manifest["neighbours"], set_manifest["counts"]["annotated_train"], []
    if near["shots"]:
        found.append(
            f"{near['test_images']} of {set_manifest['images']['test']} test images share shots with "
            f"{near['train_people']} training people (listed in manifest.json; data.keep_neighbours=false leaves them "
            "out)"
        )
    lost = set_manifest["skipped_counts"].get(NEAR_DUPLICATE, {"train": 0})["train"]
    if 2 * lost > count:
        found.append(
            f"{lost} of {count} training people are near-duplicates of test images: does the camera stand still? "
            "data.near_duplicates=null keeps them"
        )
    return found


def _draw_sheet(settings: PrepareSettings, folder: Path, sheet: Path) -> None:
    """Draw a contact sheet of some people of the pack in `folder`, with their labels, into the file `sheet`."""
    from hmlpe.data.pack import labels_of, open_pack
    from hmlpe.data.sheet import draw_sheet, sample_rows

    skeleton, data = build_component("skeleton", settings.skeleton), settings.data
    pack = open_pack(folder, skeleton)
    labels = labels_of(pack.people, skeleton, data.sides, data.use_occluded)
    rows = sample_rows(pack.people, settings.prepare.sheet, seed=0)
    draw_sheet(pack, labels, skeleton, build_component("windows", settings.windows), rows, sheet)


def main() -> None:
    """Run the console script hmlpe-prepare."""
    run_app("prepare", prepare_pack, {"--check": "prepare.check=true"}, PrepareSettings.model_fields)


if __name__ == "__main__":
    main()
