"""Open a checkpoint and its people, inspect the network, and write the results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import nn

from hmlpe import pictures
from hmlpe.data.dataset import PeopleDataset
from hmlpe.data.pack import Pack, labels_of, open_pack
from hmlpe.errors import UserError
from hmlpe.inside import figures
from hmlpe.inside.inspection import Inspection, ShownPeople, inspect_network
from hmlpe.inside.page import build_page
from hmlpe.inside.record import (
    FOLDER,
    LANDMARKS,
    MAPS,
    VERSION,
    Picture,
    Record,
    landmarks_table,
    layer_records,
    maps_table,
    write_record,
)
from hmlpe.inside.responses import patches_at
from hmlpe.inside.rows import UNTRAINED
from hmlpe.network import HeterogeneousNet
from hmlpe.row_name import name_of_balance
from hmlpe.runs.curves import Curves, read_curves
from hmlpe.runs.folder import CHOSEN, RESULT
from hmlpe.settings import Component, DataSettings, NonNegativeInt, PathSettings, PositiveInt, Settings, Text
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task
from hmlpe.tasks.detection import windows_to_grid
from hmlpe.training.build import build_model, build_tasks
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import ModelSettings
from hmlpe.training.weights import load_model


class InspectSettings(Settings, extra="forbid"):
    """The settings of an inspection, as in conf/inspect.yaml, which explains them."""

    paths: PathSettings
    skeleton: Component
    data: DataSettings | None = None
    checkpoint: Text | None = None
    study: Text | None = None
    layers: Annotated[list[str] | None, Field(description="a list of layers, e.g. [conv2], or null")] = None
    people: PositiveInt | None = None
    persons: Annotated[
        NonNegativeInt | list[NonNegativeInt], Field(description="how many, or a list of numbers of test people")
    ] = 3
    patches: PositiveInt = 8
    mosaic: NonNegativeInt = 0
    near: Annotated[float, Field(ge=0.02, lt=1)] = 0.1  # memory grows with 1 / near^2
    draws: Annotated[int, Field(ge=19)] = 200  # with fewer, no p can be below 0.05
    removal: bool = True
    out: Text | None = None
    progress: bool = True
    threads: PositiveInt | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    trust: Annotated[list[str], Field(description="a list of packages' names")] = Field(default_factory=list)

    def check_all(self) -> None:
        """Raise UserError unless exactly one of checkpoint and study is given, and the device exists."""
        if (self.checkpoint is None) == (self.study is None):
            raise UserError("give either checkpoint=PATH (one network) or study=NAME (all finished runs of a study)")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device: there is no GPU here that torch can use; set device=cpu")


def inspect_checkpoint(
    settings: InspectSettings, path: Path | None = None, folder: Path | None = None, untrained: bool = False
) -> tuple[Inspection, Record, list[Path]]:
    """Inspect the network of a checkpoint, and write the results.

    Args:
        settings: the settings of the inspection.
        path: path of the checkpoint; None takes that of the settings.
        folder: folder to write to; None takes that of the settings, else the folder `inspected` of the run.
        untrained: inspect a network of the same kind and seed before training instead; no pictures are drawn of it.

    Returns:
        The results, their record, and the written files.

    Raises:
        UserError: there is no such checkpoint, its skeleton is not that of the pack, or there are fewer people than
            asked for; see also `inspection.inspect_network`.
    """
    path, folder = path or Path(str(settings.checkpoint)), folder or (Path(settings.out) if settings.out else None)
    if not path.is_file():
        raise UserError(f"checkpoint: {path}: there is no such file")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    model = load_model(path, settings.trust).eval()
    config = model.config
    skeleton = Skeleton(**{key: config["skeleton"][key] for key in ("joints", "parts", "mirror")})
    data = settings.data or DataSettings.from_config(config["data"], "data")
    pack = open_pack(Path(data.pack), skeleton)
    pack.check_size(int(config["size_px"]))
    train, test = (_load_people(pack, skeleton, data, split, settings) for split in ("train", "test"))
    tasks = {name: model.tasks[name] for name in model.balance.active}
    if settings.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # TF32, which is the default, rounds inside convolutions
    network = untrained_network(model, train) if untrained else model.network
    network.to(settings.device)
    model.to(settings.device)
    found = inspect_network(
        network,
        train,
        test,
        skeleton,
        settings.layers,
        tasks if settings.removal and not untrained else None,
        float(config["windows"]["beta"]),
        settings.near,
        settings.draws,
        settings.mosaic,
        settings.progress,
    )
    run = path.parent.parent
    curves = read_curves(run, None) if (run / RESULT).is_file() else {}
    drawn = [] if untrained else _draw_pictures(found, model, test, settings, curves)
    row = UNTRAINED if untrained else str(config["row"]["name"])
    record = Record(
        version=VERSION,
        network=f"{config['study']}/{row}_s{config['seed']}",
        checkpoint=path.name,
        dataset=str(data.name),
        balance=name_of_balance(config.get("balance")),
        row=row,
        weights={name: float(weight) for name, weight in model.balance.weights.items()},
        seed=int(config["seed"]),
        made_by={str(key): str(value) for key, value in model.made_by.items()},
        data=str(pack.manifest["digest"]),
        train=found.train,
        test=found.test,
        near_px=settings.near * int(config["size_px"]),
        joints=list(skeleton.joints),
        parts=list(skeleton.parts),
        layers=layer_records(found),
        pictures=[picture for picture, _ in drawn],
    )
    contents = {picture.file: content for picture, content in drawn}
    tables = {MAPS: maps_table(found), LANDMARKS: landmarks_table(found)}
    texts = {name: table.to_csv(index=False, float_format="%.5g") for name, table in tables.items()}
    written = write_record(
        folder or _default_folder(path, settings),
        record,
        tables,
        contents,
        build_page(record, texts, tables[MAPS], contents),
    )
    return found, record, written


def untrained_network(model: MultiTaskPose, people: ShownPeople) -> HeterogeneousNet:
    """Return a network like the model's, with newly initialised weights.

    The statistics of its batch normalisation are computed from `people`.
    """
    settings = ModelSettings.from_config(model.config)
    network = build_model(settings, build_tasks(settings, attributes=None)).network
    network.mean_image.copy_(model.network.mean_image)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # None makes the running statistics the mean over all batches
    with torch.no_grad():
        for start in range(0, min(len(people.rows), 1024) if norms else 0, 64):
            images = torch.from_numpy(np.array(people.crops[people.rows[start : start + 64]]))
            network.trunk.train()
            network.features(images.permute(0, 3, 1, 2).contiguous())
    return network.eval()


def _default_folder(checkpoint: Path, settings: InspectSettings) -> Path:
    """Return the folder to write to by default: `inspected` in the run's folder, or beside a checkpoint of no run.

    If the checkpoint is not the evaluated one, its name is appended, and so is the name of a data set that is not the
    run's own.
    """
    run = checkpoint.parent.parent
    own = "" if checkpoint.name == CHOSEN else f"_{checkpoint.stem}"
    people = "" if settings.data is None else f"_{settings.data.name}"
    return (run if (run / RESULT).is_file() else checkpoint.parent) / f"{FOLDER}{own}{people}"


def _load_people(
    pack: Pack, skeleton: Skeleton, data: DataSettings, split: str, settings: InspectSettings
) -> ShownPeople:
    """Return the pack's people of a split, or as many of them as the settings ask for. Raises UserError if too few."""
    rows = pack.rows_of_split(split)
    if settings.people is not None and settings.people < len(rows):  # random, as the first ones may be from one film
        rows = np.sort(np.random.default_rng(0).permutation(rows)[: settings.people])
    asked = {"people": 2, "mosaic": settings.mosaic}
    if split == "test":
        asked = {"people": 2, "persons": settings.persons if isinstance(settings.persons, int) else 0}
    for name, least in asked.items():
        if len(rows) < least:
            raise UserError(f"{name}: patches of {least} people requested; there are only {len(rows)} {split} people")
    if split == "test":
        _choose_people_to_draw(settings, len(rows))
    labels = labels_of(pack.people, skeleton, data.sides, data.use_occluded)
    dataset = PeopleDataset(pack.test_crops, labels, rows)
    return ShownPeople(pack.test_crops, np.asarray(rows), dataset.joints_px())


def _draw_pictures(
    found: Inspection, model: MultiTaskPose, test: ShownPeople, settings: InspectSettings, curves: Curves
) -> list[tuple[Picture, bytes]]:
    """Draw all pictures of an inspection; return each with the content of its PNG file."""
    drawn: list[tuple[Picture, bytes]] = []

    def add_picture(file: str, title: str, words: str, figure: Figure, people: bool = False) -> None:
        drawn.append((Picture(file=file, title=title, words=words, people=people), pictures.png_bytes(figure)))

    joints = [name.replace("_", " ") for name in found.skeleton.joints]
    parts = list(found.skeleton.parts)
    weights = found.network.first_filters()
    if weights is not None:
        words = [f"{one.frequency:.2f}, {one.orientation_deg:.0f}°" for one in found.filters]
        add_picture(
            "filters.png",
            "First-layer filters",
            "Each divided by its own largest weight; below its number, the frequency (cycles per pixel) and "
            "orientation of the wave that it responds to most.",
            pictures.draw_filters(weights.numpy(), words),
        )
        add_picture(
            "waves.png",
            "What the filters look for",
            "The frequency of each filter over its orientation.",
            figures.filters_figure(found.filters),
        )
    truth = test.joints_px.numpy()
    for name, layer in found.layers.items():
        end = name.rpartition(".")[2]
        prefers = [
            f"{joints[best]} {index:.2f}" for best, index in zip(layer.joints.best, layer.joints.index, strict=True)
        ]
        add_picture(
            f"averages_{end}.png",
            f"Average patches of {end}",
            f"The mean of the windows that each map of {end} responds to most, one from each of "
            f"{layer.average.people} training people; below it, the same places in other people's crops (the effect of "
            "place alone) and the spread over people. Labels: the joint that the map prefers, and its index.",
            figures.average_patches_figure(name, layer, prefers),
        )
        if layer.mosaic is not None:
            add_picture(
                f"mosaic_{end}.png",
                f"Real patches nearest to the averages of {end}",
                "One row per map, the nearest first.",
                figures.nearest_patches_figure(name, layer.mosaic),
                people=True,
            )
    for name, layer in found.layers.items():
        end = name.rpartition(".")[2]
        add_picture(
            f"positions_{end}.png",
            f"Where maps of {end} respond",
            "For the test people, relative to the joint that the map prefers; top: their own, below: another person's.",
            figures.response_positions_figure(name, layer, truth, joints),
        )
    if any(layer.removal is not None for layer in found.layers.values()):
        add_picture(
            "removal.png",
            "What is lost without a map",
            "Each map in turn is set to its mean over people, so that it tells nothing; shown is how much errors grow.",
            figures.removal_cost_figure(found.layers, joints, parts),
        )
    gradients = figures.gradients_figure(curves)
    if gradients is not None:
        add_picture(
            "gradients.png",
            "Gradients of the tasks",
            "Gradients of the unweighted losses at each layer's weights, averaged over an epoch's logged steps: how "
            "large they are, and whether two of them point the same way.",
            gradients,
        )
    persons = _choose_people_to_draw(settings, len(test.rows))
    if len(persons):
        add_picture(
            "people.png",
            "Backtracked patches of single people",
            "The windows of the maps that respond most, relative to each map's mean and spread over the test people, "
            "drawn on the crop, and cut out of it.",
            figures.person_patches_figure(_most_responsive_windows(found, test, persons, settings.patches)),
            people=True,
        )
        maps = _part_maps_of_people(model, test, persons)
        if maps is not None:
            add_picture(
                "part_maps.png",
                "Part maps, and where the two tasks disagree",
                "Windows that hold the part, the probability that the detector gives, the windows that hold the "
                "regressed part, and detected minus regressed.",
                figures.part_maps_figure(*maps, parts=[part.replace("_", " ") for part in parts]),
                people=True,
            )
    return drawn


def _choose_people_to_draw(settings: InspectSettings, count: int) -> np.ndarray:
    """Return the indices, among the `count` test people, of those whose patches are drawn.

    Raises:
        UserError: the settings name a person who does not exist.
    """
    if isinstance(settings.persons, int):
        return np.sort(np.random.default_rng(0).permutation(count)[: settings.persons])
    beyond = [person for person in settings.persons if person >= count]
    if beyond:
        raise UserError(f"persons: there is no test person {beyond[0]}; they are numbered from 0 to {count - 1}")
    return np.array(settings.persons, dtype=np.int64)


def _most_responsive_windows(
    found: Inspection, test: ShownPeople, people: np.ndarray, map_count: int
) -> list[list[figures.MarkedWindows]]:
    """Return the windows of the most responsive maps, for each person and layer.

    The first layer is left out unless it is the only one.
    """
    network, marked = found.network, list[list[figures.MarkedWindows]]()
    layers = network.layers[1:] or network.layers
    for person in people:
        row = test.rows[[person]]
        (responses,) = network.responses(test.crops, row)
        lines = []
        for layer in layers:
            values, units, where = responses.values[layer][0], responses.units[layer], network.fields[layer]
            mean, std = torch.from_numpy(found.layers[layer].response_stats).unbind(1)
            order = ((values - mean) / std.clamp(min=1e-9)).argsort(descending=True)[:map_count]
            lines.append(
                figures.MarkedWindows(
                    crop=np.asarray(test.crops[row[0]]),
                    layer=layer,
                    maps=order.numpy(),
                    corners_px=where.corners(units)[0][order].numpy(),
                    patches=patches_at(responses.images, units, where)[0][order].numpy(),
                )
            )
        marked.append(lines)
    return marked


@torch.inference_mode()
def _part_maps_of_people(
    model: MultiTaskPose, test: ShownPeople, persons: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return crops and three kinds of part maps of people: true, detected, and computed from the regressed joints.

    Returns None unless both a joint regression and a part detection were trained.
    """
    tasks: dict[type[Task], tuple[str, Task]] = {}
    for name in model.balance.active:
        for kind in (JointRegression, PartDetection):
            if isinstance(model.tasks[name], kind):
                tasks.setdefault(kind, (name, model.tasks[name]))
    if len(tasks) < 2:
        return None
    (regression, pose), (detection, detector) = tasks[JointRegression], tasks[PartDetection]
    assert isinstance(detector, PartDetection)
    crops = np.array(test.crops[test.rows[persons]])
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().to(model.device)
    outputs = model.network(images, [regression, detection])
    joints_px = pose.decode(outputs[regression])["predicted_crop_px"]
    detected = detector.decode(outputs[detection])["part_maps"]
    shape = detected.shape
    truth = test.joints_px[torch.from_numpy(persons)].to(model.device)
    of_truth, of_regression = (detector.target({"joints_px": joints}) for joints in (truth, joints_px))
    true = of_truth.values.where(of_truth.known, torch.nan)
    one, two, three = (
        windows_to_grid(maps.reshape(shape).cpu().numpy()) for maps in (true, detected, of_regression.values)
    )
    return crops, one, two, three
