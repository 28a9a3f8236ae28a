"""Patches, selectivity, information and removal, where the answer is known beforehand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from hmlpe.errors import UserError
from hmlpe.inside import figures
from hmlpe.inside.fields import ReceptiveField
from hmlpe.inside.inspection import ShownPeople, describe_filters, inspect_network, measure_removal_cost
from hmlpe.inside.responses import InspectedNetwork, LayerResponses, PatchAverager, nearest_patches, patches_at
from hmlpe.inside.rows import weight_trends
from hmlpe.inside.selectivity import PartInformation, measure_selectivity
from hmlpe.network import Head, HeterogeneousNet, Trunk
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression

RNG = np.random.default_rng(3)
SKELETON = Skeleton(["a", "b", "c"], {"stick": ["a", "b"]})


@pytest.mark.parametrize(("frequency", "degrees"), [(0.125, 0), (0.2, 90), (0.25, 45), (0.15, 120)])
def test_a_wave_s_frequency_and_orientation(frequency: float, degrees: float) -> None:
    down, across = np.mgrid[:15, :15]
    angle = math.radians(degrees)
    # Crests along `degrees`, as seen: counter-clockwise from a row, rows counted downwards
    wave = np.cos(2 * math.pi * frequency * (across * math.sin(angle) + down * math.cos(angle)))
    (found,) = describe_filters(np.repeat(wave[None, None], 3, axis=1).astype(np.float32))
    assert found.frequency == pytest.approx(frequency, abs=0.02)
    assert abs((found.orientation_deg - degrees + 90) % 180 - 90) < 6
    assert found.oriented > 0.8 and found.colour == pytest.approx(0, abs=1e-6)


def test_a_blob_has_no_orientation_and_colour_is_seen() -> None:
    down, across = np.mgrid[-7:8, -7:8]
    blob = np.exp(-(down**2 + across**2) / 8)
    red = np.stack([blob, -blob / 2, -blob / 2])
    grey, colour, nothing = describe_filters(
        np.stack([np.repeat(blob[None], 3, axis=0), red, 0 * red]).astype(np.float32)
    )
    assert grey.oriented < 0.05 < 0.9 < colour.colour
    assert nothing.frequency == nothing.oriented == 0


def test_patches_are_the_windows_zero_beyond_the_image() -> None:
    images = torch.arange(2 * 3 * 6 * 7).remainder(251).to(torch.uint8).reshape(2, 3, 6, 7)
    field = ReceptiveField((4, 3), (2, 2), (-1, 0))
    unit = torch.tensor([[[0, 0], [1, 1]], [[2, 2], [1, 0]]])
    found = patches_at(images, unit, field)
    padded = nn.functional.pad(images, (0, 4, 1, 4))
    for person in range(2):
        for one in range(2):
            row, column = (unit[person, one] * 2).tolist()
            assert torch.equal(found[person, one], padded[person, :, row : row + 4, column : column + 3])


def test_an_average_finds_what_the_map_looks_for() -> None:
    """A bright 3 x 3 cross somewhere in noise: its average is the cross, and the null picture is not."""
    crops = RNG.integers(0, 100, (90, 24, 24, 3), dtype=np.uint8)
    places = RNG.integers(2, 20, (90, 2))
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    for crop, (row, column) in zip(crops, places, strict=True):
        crop[row : row + 3, column : column + 3][cross] = 250
    layer = nn.Conv2d(3, 1, 3, bias=False)
    layer.weight.data = torch.from_numpy(np.where(cross, 1.0, -0.5)).float().expand(1, 3, 3, 3).contiguous()
    network = InspectedNetwork(nn.Sequential(_Float(), layer), 24)
    averages, units, order = PatchAverager("1", network.fields["1"]), [], []
    for responses in network.responses(crops, np.arange(90), batch_size=32):
        averages.update(responses)
        units.append(responses.units["1"])
        order.append(responses.people)
    where = torch.cat(units)[torch.from_numpy(np.argsort(np.concatenate(order)))]
    assert (where[:, 0].numpy() == places).mean() > 0.95
    found = averages.average()
    assert found.people == 90 and (found.mean[0][:, cross] > 240).all() and (found.mean[0][:, ~cross] < 80).all()
    assert found.null.max() < 100 and found.contrast[0] > 5
    assert found.spread[0][:, cross].max() < 40 < found.spread[0][:, ~cross].min() + 25
    real = nearest_patches(crops, np.arange(90), where, network.fields["1"], found.mean, 5, batch_size=32)
    assert real.shape == (1, 5, 3, 3, 3) and (real[0, :, :, cross] == 250).all()


class _Float(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float()


def test_selectivity_tells_a_joint_s_map_from_a_place_s() -> None:
    joints = RNG.uniform(20, 90, (300, 3, 2))
    joints[:40, 2] = np.nan
    follows = joints[:, 0] + [12, -8] + RNG.normal(0, 2, (300, 2))  # at an offset
    place = np.full((300, 2), 50.0)
    unsure = np.where(RNG.random(300)[:, None] < 0.4, joints[:, 1], RNG.uniform(0, 112, (300, 2)))
    either = np.where(RNG.random(300)[:, None] < 0.5, joints[:, 0], joints[:, 1])  # of two joints
    found = measure_selectivity(np.stack([follows, place, unsure, either], axis=1), joints, near_px=11, draws=99)
    assert found.best[0] == 0 and found.best[2] == 1
    assert found.index[0] > 0.7 > 0.5 > found.index[2] > 0.2 and found.index[1] < 0.05 and found.index[3] < 0.15
    assert found.index_p[0] == found.index_p[2] == 1 / 100 and found.index_p[1] > 0.2
    assert found.p[0, 0] == found.p[2, 1] == found.p[3, 0] == found.p[3, 1] == 1 / 100
    assert (found.p[1] == 1).all(), "one place tells nothing, however often it hits"
    assert found.offset_px[0, 0] == pytest.approx([12, -8], abs=6)
    assert found.people.tolist() == [300, 300, 260]


NULLS = {
    "uniform": (RNG.uniform(20, 90, (16, 120, 4, 2)), RNG.uniform(20, 90, (16, 120, 6, 2))),
    "skewed": (20 + RNG.exponential(12, (16, 120, 4, 2)), 15 + RNG.exponential(15, (16, 120, 6, 2))),
    "at two places": (RNG.normal(56, 9, (16, 120, 4, 2)), RNG.choice([30.0, 80.0], (16, 120, 6, 2), p=[0.45, 0.55])),
}


@pytest.mark.parametrize("null", NULLS)
def test_maps_that_answer_anywhere_are_not_selective(null: str) -> None:
    """Whatever the places are like, about one layer in twenty has a p below 0.05; and hits are no more than chance."""
    found = [
        measure_selectivity(places, joints, near_px=12, draws=99) for joints, places in zip(*NULLS[null], strict=True)
    ]
    assert sum((one.p < 0.05).any() for one in found) <= 4
    assert sum((one.index_p < 0.05).any() for one in found) <= 4
    assert abs(np.mean([one.hits_above_chance for one in found])) < 0.01


def test_information_is_that_of_the_indicator() -> None:
    """A map that answers 1 where its window holds the part and 0 elsewhere tells all of it; noise tells nothing."""
    field = ReceptiveField((10, 10), (10, 10), (0, 0))
    sticks = np.zeros((400, 3, 2), np.float32)
    sticks[:, 0] = RNG.integers(0, 4, (400, 2)) * 10 + 2
    sticks[:, 1] = sticks[:, 0] + 5
    holds = torch.zeros(400, 4, 4)
    rows = torch.arange(400)
    holds[rows, torch.from_numpy(sticks[:, 0, 1] // 10).long(), torch.from_numpy(sticks[:, 0, 0] // 10).long()] = 1
    maps = torch.stack([holds + 0.01 * torch.rand(400, 4, 4), torch.rand(400, 4, 4)], dim=1)
    counted = PartInformation("l", field, torch.tensor([[0, 1]]), 0.3, torch.from_numpy(sticks))
    for start in range(0, 400, 100):
        people = np.arange(start, start + 100)
        counted.update(
            LayerResponses(people, torch.zeros(100, 3, 40, 40, dtype=torch.uint8), {"l": maps[people]}, {}, {})
        )
    bits, null = counted.bits()
    entropy = -(1 / 16 * math.log2(1 / 16) + 15 / 16 * math.log2(15 / 16))
    assert bits[0, 0] == pytest.approx(entropy, abs=0.06)  # eight bins cut at the first batch's quantiles
    assert bits[1, 0] < 0.01 and null.max() < 0.02


def test_a_map_that_is_not_read_costs_nothing() -> None:
    torch.manual_seed(0)
    stages = [{"maps": 3, "kernel": 3, "relu": True}]
    head = partial(Head, hidden=[8, 8], keep=0.5, scaling="inverted")
    network = HeterogeneousNet(Trunk(stages, [2, 2], "batch"), head, {"regression": 6}, 16, 0.01)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    weight = network.head("regression").fc1.weight
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        weight.view(8, 3, 7, 7)[:, 1] = 0
    crops = RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
    joints = torch.rand(11, 3, 2) * 16
    joints[0, 2] = torch.nan
    task = JointRegression(SKELETON, 16, 0.9)
    mean = torch.rand(3, 14, 14)
    found = measure_removal_cost(network, {"regression": task}, "trunk.conv1", mean, crops, np.arange(11), joints)
    assert network.training, "left as it was, though looked into without dropout and by the norms' own statistics"
    network.eval()
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["heads.regression.fc1.weight"]
    assert found.joints_px.shape == (3, 3) and found.parts.shape == (3, 0)
    assert np.abs(found.joints_px[1]).max() == 0 < np.abs(found.joints_px[[0, 2]]).min()
    images = torch.from_numpy(crops).permute(0, 3, 1, 2)

    def error() -> Tensor:
        responses = task.decode(network(images)["regression"])["predicted_crop_px"]
        return (responses - joints).norm(dim=-1).nanmean(0)

    with torch.no_grad():
        whole = error()
        handle = network.trunk.conv1.register_forward_hook(
            lambda module, args, output: torch.cat([mean[:1].expand(len(output), -1, -1, -1), output[:, 1:]], dim=1)
        )
        after = error()
        handle.remove()
    assert found.joints_px[0] == pytest.approx((after - whole).numpy(), abs=1e-4)


def test_a_network_of_one_s_own_is_looked_into() -> None:
    crops = RNG.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    people = ShownPeople(crops, np.arange(20), torch.rand(20, 3, 2) * 32)
    network = nn.Sequential(_Float(), nn.Conv2d(3, 2, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3))
    found = inspect_network(network, people, people, SKELETON, ["4"], draws=19, mosaic=2, progress=False)
    assert network.training and all(one.requires_grad for one in network.parameters()), "left as it was"
    assert list(found.layers) == ["4"] and found.layers["4"].removal is None and len(found.filters) == 2
    assert found.network.fields["4"].extent == (10, 10) and found.layers["4"].places_px.shape == (20, 3, 2)


def test_trends_over_the_weight() -> None:
    lines = [
        {"row": f"r{weight}", "seed": seed, "relative_weight": weight, "layer": layer, "index": value, "selective": 1}
        for seed in (1, 2, 3)
        for weight in (0.0, 0.1, 1.0, 10.0)
        for layer, value in (("grows", weight + 0.01 * seed), ("noise", RNG.random()))
    ]
    table = pd.DataFrame(lines).assign(bits=None, used=None, balance="fixed")
    found = weight_trends(table).set_index("layer")
    assert found.loc["grows", "rho"] > 0.95 and found.loc["grows", "p"] < 0.001 and found.loc["grows", "runs"] == 12
    assert found.loc["noise", "p"] > 0.05


def test_gradients_are_drawn_layer_by_layer_or_not_at_all() -> None:
    assert figures.gradients_figure({"train/gradient/cosine": {1: 0.5}}) is None
    curves = {
        f"train/gradient_of/{layer}/{name}": {1: 0.5, 2: 0.25}
        for layer in ("conv1", "conv2")
        for name in ("norm_regression", "norm_part_detection", "cosine")
    }
    figure = figures.gradients_figure(curves)
    assert figure is not None
    assert [ax.get_title() for ax in figure.axes] == ["norm, regression", "norm, part detection", "cosine"]
    assert [[line.get_label() for line in ax.lines[:2]] for ax in figure.axes] == [["conv1", "conv2"]] * 3


def test_a_landmark_of_nobody_is_nobody_s_choice() -> None:
    rng = np.random.default_rng(0)
    joints = rng.uniform(20, 90, (60, 3, 2))
    joints[:, 1] = np.nan
    found = measure_selectivity(joints[:, [0, 2, 0]] + rng.normal(0, 3, (60, 3, 2)), joints, 10, draws=19)
    assert list(found.best) == [0, 2, 0] and list(found.people) == [60, 0, 60]
    assert np.isnan(found.hits[:, 1]).all() and np.isnan(found.offset_px[:, 1]).all()
    assert np.isfinite(found.index).all() and np.isfinite(found.hits[:, [0, 2]]).all()


def test_a_map_that_follows_two_joints_alike_is_selective_by_chance_s_measure_alone() -> None:
    """What `index_p` does not say (docs/inspect.md): that one joint is told from another."""
    rng = np.random.default_rng(0)
    joints = rng.uniform(20, 90, (400, 2, 2))
    either = joints[np.arange(400), rng.integers(0, 2, 400)][:, None] + rng.normal(0, 2, (400, 1, 2))
    found = measure_selectivity(either, joints, 10, draws=99)
    assert (found.p < 0.05).all() and found.index[0] < 0.15


def test_a_network_without_convolutions_is_refused() -> None:
    with pytest.raises(UserError, match="its network, a Linear, has no convolution to inspect"):
        InspectedNetwork(nn.Linear(3, 3), 8)


def test_people_of_whom_nothing_is_known_are_refused() -> None:
    with pytest.raises(UserError, match="data: none of the inspected people has a known joint"):
        measure_selectivity(np.zeros((5, 2, 2)), np.full((5, 3, 2), np.nan), 10, draws=19)
