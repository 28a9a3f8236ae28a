"""The balance: Φ = Σ wᵢEᵢ exactly, tasks of weight zero left untouched, and a third task in one file and one config."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from omegaconf import DictConfig, open_dict
from torch import Tensor

from hmlpe.balance import FixedWeights, StepInfo
from hmlpe.errors import UserError
from hmlpe.geometry import crop_to_image
from hmlpe.tasks import Sample, Target, Task
from hmlpe.tasks.regression import to_image_px
from hmlpe.training.build import build_model, build_tasks
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import TrainSettings

CONFIGS = Path(__file__).parents[2] / "conf"
SIZE = 56
SMALL = [
    f"size_px={SIZE}",
    "network=slim",
    "network.head.hidden=[8,8]",
    "network.trunk.stages=[{maps:2,kernel:9,relu:true},{maps:2,kernel:5,relu:true},{maps:2,kernel:5,relu:true}]",
    "optim.scheduler=null",
]
NAN = float("nan")
NOW = StepInfo(seed=0, epoch=0, step=0)


class Extent(Task):
    """A third task, as somebody else would add it: the height of the pose in crops, one output."""

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px

    @property
    def outputs(self) -> int:
        return 1

    def target(self, sample: Sample) -> Target:
        y = sample["joints_px"][..., 1]
        extent = (y.nan_to_num(-torch.inf).amax(1) - y.nan_to_num(torch.inf).amin(1)) / self.size_px
        return Target(extent[:, None], extent.isfinite()[:, None])

    def element_loss(self, output: Tensor, values: Tensor) -> Tensor:
        return (output - values).abs()

    def decode(self, output: Tensor) -> dict[str, Tensor]:
        return {"extent_px": output.float()[:, 0] * self.size_px}


@pytest.fixture(scope="module")
def config() -> DictConfig:
    """A small net for both tasks of the paper, with AdamW."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", SMALL)


@pytest.fixture(scope="module")
def with_extent(tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    """The third task added as a user would: one file in the group `task`, and its name."""
    folder = tmp_path_factory.mktemp("conf")
    content = {"_target_": f"{Extent.__module__}.Extent", "size_px": "${size_px}"}
    (folder / "task").mkdir()
    (folder / "task" / "pose_extent.yaml").write_text(yaml.safe_dump(content))
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        added = [f"hydra.searchpath=[file://{folder}]", "+task@tasks.extent=pose_extent", "+row.weights.extent=1"]
        return compose("train", [*SMALL, *added])


def model_of(config: DictConfig, **weights: Any) -> MultiTaskPose:
    """The model of the configuration with other weights."""
    config = copy.deepcopy(config)
    with open_dict(config):
        config.row.weights = weights
    settings = TrainSettings.from_config(config)
    model = build_model(settings, build_tasks(settings))
    model.log = lambda *_args, **_kwargs: None  # there is no trainer
    return model


def batch_of(size: int = 4, seed: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    joints = torch.rand(size, 8, 2, generator=rng) * SIZE
    joints[0, 6] = NAN
    return {
        "image": torch.randint(0, 256, (size, 3, SIZE, SIZE), generator=rng, dtype=torch.uint8),
        "joints_px": joints,
        "truth_px": joints * 2,
        "box_px": torch.tensor([-0.5, -0.5, 2 * SIZE - 0.5, 2 * SIZE - 0.5]).repeat(size, 1),
        "torso_px": torch.full((size,), 40.0),
    }


def train(model: MultiTaskPose, steps: int = 3) -> None:
    optimizer = model.configure_optimizers()
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        model.training_step(batch_of(seed=step), step).backward()
        optimizer.step()


EIGHTHS = st.integers(0, 8000).map(lambda n: n / 8)
WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), EIGHTHS, min_size=1).filter(lambda w: any(w.values()))


@given(w=WEIGHTS, data=st.data())
def test_phi_is_the_weighted_sum_exactly(w: dict[str, float], data: st.DataObject) -> None:
    """In numbers that single precision holds exactly, so that nothing may be lost."""
    losses = {name: data.draw(st.integers(0, 15)) / 4 for name in w}
    balance = FixedWeights(w)
    terms = balance.terms({name: torch.tensor(loss) for name, loss in losses.items()}, NOW)
    assert set(terms) == set(balance.active) == {name for name in w if w[name] > 0}
    phi = sum(Fraction(term.item()) for term in terms.values())
    assert phi == sum(Fraction(w[name]) * Fraction(losses[name]) for name in w)
    assert all(Fraction(terms[name].item()) == Fraction(w[name]) * Fraction(losses[name]) for name in terms)


@given(w=st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=5), e=st.lists(st.floats(0, 1e6), min_size=5, max_size=5))
def test_phi_in_double_precision(w: list[float], e: list[float]) -> None:
    balance = FixedWeights({str(i): weight for i, weight in enumerate(w)})
    terms = balance.terms({str(i): torch.tensor(loss, dtype=torch.float64) for i, loss in enumerate(e)}, NOW)
    assert [term.item() for term in terms.values()] == [a * b for a, b in zip(w, e, strict=False)]


def test_gradient_of_phi_is_the_weighted_sum() -> None:
    losses = {"a": torch.tensor(3.0, requires_grad=True), "b": torch.tensor(5.0, requires_grad=True)}
    sum(FixedWeights({"a": 0.25, "b": 4.0}).terms(losses, NOW).values()).backward()
    assert (losses["a"].grad, losses["b"].grad) == (0.25, 4.0)


@pytest.mark.parametrize("loss", [NAN, float("inf"), 7.0])
def test_weight_zero_skips_the_term(loss: float) -> None:
    balance = FixedWeights({"regression": 1.0, "detection": 0.0})
    assert balance.active == ["regression"]
    terms = balance.terms({"regression": torch.tensor(2.0), "detection": torch.tensor(loss)}, NOW)
    assert terms == {"regression": 2.0}
    assert balance.terms({"regression": torch.tensor(2.0)}, NOW) == {"regression": 2.0}


@pytest.mark.parametrize("weight", [-1.0, -1e-9, NAN, float("inf"), -float("inf"), True, False, "1", "nan", None])
def test_bad_weight_is_refused_by_its_key(weight: Any) -> None:
    values = {"regression": 1.0, "detection": weight}  # not first: the type checker of the tests looks at that one
    with pytest.raises(UserError, match=r"row\.weights\.detection: .*at least 0, got") as caught:
        FixedWeights(values)
    assert repr(weight) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [{}, {"regression": 0.0}, {"regression": 0.0, "detection": 0.0}])
def test_no_positive_weight_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"row\.weights: at least one weight must be positive"):
        FixedWeights(values)


def test_whole_numbers_are_weights() -> None:
    """As the rows' files have them."""
    assert FixedWeights({"regression": 1, "detection": 0.5}).weights == {"regression": 1.0, "detection": 0.5}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"regression": 1, "detection": -1}, r"row\.weights\.detection: .*got -1"),
        ({"regression": 1, "detection": NAN}, r"row\.weights\.detection: .*got nan"),
        ({"regression": 1, "detection": "1"}, r"row\.weights\.detection: .*got '1'"),
        ({"regression": 1, "detection": True}, r"row\.weights\.detection: .*got True"),
        ({"regression": 0, "detection": 0}, r"row\.weights: at least one weight must be positive"),
        (
            {"regression": 1, "detection": 1, "extent": 1},
            r"row\.weights\.extent: there is no such task; there are regression, detection$",
        ),
        ({"regression": 0}, r"row\.weights: at least one weight must be positive"),
    ],
)
def test_bad_row_is_refused_when_the_model_is_built(config: DictConfig, weights: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of(config, **weights)


@pytest.fixture(scope="module")
def both(config: DictConfig) -> MultiTaskPose:
    return model_of(config, regression=1.5, detection=0.25)


def test_a_training_step_minimises_phi(both: MultiTaskPose) -> None:
    model = copy.deepcopy(both).eval()  # without dropout, so that two passes agree
    batch, logged = batch_of(), {}
    model.log = lambda name, value, **_kwargs: logged.update({name: value.item()})
    phi = model.training_step(batch, 0).item()
    with torch.no_grad():
        outputs = model.network(batch["image"])
        raw = {name: task.loss(outputs[name], task.target(batch)) for name, task in model.tasks.items()}
    expected = {name: loss.item() for name, loss in raw.items()}
    assert phi == pytest.approx(1.5 * expected["regression"] + 0.25 * expected["detection"], rel=1e-6)
    assert logged == pytest.approx(
        {
            "train/total": phi,
            "train/regression": expected["regression"],
            "train/detection": expected["detection"],
            "train/regression_weighted": 1.5 * expected["regression"],
            "train/detection_weighted": 0.25 * expected["detection"],
        },
        rel=1e-6,
    )


def test_the_trunk_gets_the_sum_of_both_gradients(both: MultiTaskPose) -> None:
    """FACTS 1: gradients of the two are summed at the shared layers."""

    def trunk_gradient(**values: float) -> Tensor:
        model = copy.deepcopy(both).eval()
        model.balance = FixedWeights(values)
        model.training_step(batch_of(), 0).backward()
        gradients = [p.grad.flatten() for p in model.network.trunk.parameters() if p.grad is not None]
        return torch.cat(gradients)

    together = trunk_gradient(regression=1.5, detection=0.25)
    apart = 1.5 * trunk_gradient(regression=1.0, detection=0.0) + 0.25 * trunk_gradient(regression=0.0, detection=1.0)
    assert together.abs().max() > 0
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5 * together.abs().max().item())


@pytest.mark.parametrize(("idle", "busy"), [("detection", "regression"), ("regression", "detection")])
def test_head_of_weight_zero_is_left_untouched(config: DictConfig, idle: str, busy: str) -> None:
    """Bit for bit, though the optimiser is AdamW with weight decay; everything else learns."""
    config = copy.deepcopy(config)
    config.optim.groups.fc_decay = 0.5
    model = model_of(config, **{idle: 0, busy: 1})
    optimizer = model.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert any(group["weight_decay"] == 0.5 for group in optimizer.param_groups)
    before = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    train(model)
    after = dict(model.network.named_parameters())
    for name, old in before.items():
        if name.startswith(f"heads.{idle}."):
            assert torch.equal(after[name], old), name
            assert after[name].grad is None, name
        else:
            assert not torch.equal(after[name], old), name


def test_loss_of_weight_zero_is_not_computed(config: DictConfig) -> None:
    """Its head may be broken: the step and the evaluation do not see it."""
    model = model_of(config, regression=1, detection=0)
    torch.nn.init.constant_(model.network.head("detection").output_layer.weight, NAN)
    train(model, steps=1)
    losses, outputs, targets = model.losses(batch_of())
    assert set(losses) == set(outputs) == set(targets) == {"regression"}
    assert losses["regression"].isfinite()


def test_a_third_task_is_one_file_and_one_config(with_extent: DictConfig) -> None:
    """Built from the configuration, weighted, trained and decoded like the two of the paper."""
    model = model_of(with_extent, regression=1, detection=0.125, extent=2)
    assert {name: head.output_layer.out_features for name, head in model.network.heads.items()} == {
        "regression": 16,
        "detection": 448,
        "extent": 1,
    }
    model.eval()
    batch = batch_of()
    losses, outputs, targets = model.losses(batch)
    y = batch["joints_px"][..., 1].numpy()
    expected = [max(row[row == row]) - min(row[row == row]) for row in y]
    torch.testing.assert_close(targets["extent"].values[:, 0] * SIZE, torch.tensor(expected))
    by_hand = (outputs["extent"] - targets["extent"].values).abs().sum() / 4
    assert losses["extent"].item() == pytest.approx(by_hand.item())
    phi = sum({"regression": 1, "detection": 0.125, "extent": 2}[name] * loss.item() for name, loss in losses.items())
    assert model.training_step(batch, 0).item() == pytest.approx(phi, rel=1e-6)
    assert {"predicted_crop_px", "part_maps", "extent_px"} <= set(model.metric_inputs(batch, outputs, targets))
    model.metrics.update(**model.metric_inputs(batch, outputs, targets))
    assert "error_px" in model.metrics.compute()

    before = copy.deepcopy(dict(model.network.named_parameters()))
    train(model, steps=1)
    assert all(not torch.equal(p, before[name]) for name, p in model.network.named_parameters())


def test_a_task_that_the_row_does_not_name_has_weight_zero(config: DictConfig) -> None:
    model = model_of(config, regression=2)
    assert model.balance.weights == {"regression": 2.0, "detection": 0.0} and model.balance.active == ["regression"]
    assert not any(p.requires_grad for p in model.network.head("detection").parameters())


def test_a_third_task_may_rest(with_extent: DictConfig) -> None:
    model = model_of(with_extent, regression=1, detection=1, extent=0)
    assert model.balance.active == ["regression", "detection"]
    before = [p.detach().clone() for p in model.network.head("extent").parameters()]
    train(model, steps=1)
    assert all(torch.equal(p, old) for p, old in zip(model.network.head("extent").parameters(), before, strict=True))


def test_predictions_go_back_to_the_image_by_the_rule_of_the_crops() -> None:
    rng = np.random.default_rng(0)
    points, low = rng.uniform(-20, 130, (3, 8, 2)), rng.uniform(-50, 200, (3, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 300, (3, 2))], axis=1)
    batch = {"image": torch.zeros(3, 3, 112, 112, dtype=torch.uint8), "box_px": torch.tensor(boxes).float()}
    found = to_image_px(torch.tensor(points).float(), batch)
    np.testing.assert_allclose(found.numpy(), crop_to_image(points, boxes[:, None], 112), atol=1e-3)


def test_losses_are_scalars() -> None:
    balance = FixedWeights({"regression": 1.0})
    with pytest.raises(TypeCheckError, match="losses"):
        balance.terms({"regression": torch.zeros(3)}, NOW)


@pytest.mark.parametrize(
    ("shape", "loss", "line"),
    [
        ((4, 2), (4, 2), "tasks.mine: Odd.target() gives values of shape (4, 2); its output has (4, 1)"),
        ((4,), (4,), "tasks.mine: Odd.target() gives values of shape (4,); its output has (4, 1)"),
        ((4, 1), (), "tasks.mine: Odd.element_loss() gives the shape (); its output has (4, 1)"),
        ((4, 1), (4, 1), ""),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape: tuple[int, ...], loss: tuple[int, ...], line: str) -> None:
    """Torch would broadcast them to a number that means nothing."""

    class Odd(Extent):
        def element_loss(self, output: Tensor, values: Tensor) -> Tensor:
            return torch.zeros(loss)

    target = Target(torch.zeros(shape), torch.ones(shape, dtype=torch.bool))
    if not line:
        Odd(56).check("mine", torch.zeros(4, 1), target)
        return
    with pytest.raises(UserError) as raised:
        Odd(56).check("mine", torch.zeros(4, 1), target)
    assert str(raised.value) == line
