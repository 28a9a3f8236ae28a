"""Balances at work in a small network of three tasks: gradients, clipping, what they see, resuming, and bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from hmlpe.balance import Balance, FixedWeights, StepInfo, UncertaintyWeights
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import Target
from hmlpe.training.build import build_balance, build_model, build_tasks, config_digest
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import TrainSettings
from hmlpe.training.weights import load_weights

from ..tasks.test_balance import CONFIGS, SMALL, Extent, batch_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:You defined a .validation_step."),
]
THREE = [
    "row=det_1",
    f"+tasks.extent={{_target_: {Extent.__module__}.Extent, size_px: 56}}",
    "+row.weights.extent=2",
]
HERE = __name__


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """So small a network waits for the others more than it computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Summed(Balance):
    """Combines the gradients to what they would be anyway."""

    def combine(self, gradients: Mapping[str, Tensor], step_info: StepInfo) -> Tensor:
        return torch.stack(list(gradients.values())).sum(0)


class Shortened(Balance):
    def combine(self, gradients: Mapping[str, Tensor], step_info: StepInfo) -> Tensor:
        return next(iter(gradients.values()))[1:]


class Seeing(Balance):
    """Notes what it is shown."""

    needs_losses_after: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, object]) -> None:
        super().__init__(weights)
        self.seen: list[tuple[StepInfo, dict[str, float], dict[str, float]]] = []

    def observe(
        self, losses: Mapping[str, Tensor], step_info: StepInfo, after: Mapping[str, Tensor] | None = None
    ) -> None:
        assert after is not None and not any(value.requires_grad for value in (*losses.values(), *after.values()))
        self.seen.append((step_info, {k: v.item() for k, v in losses.items()}, {k: v.item() for k, v in after.items()}))


class Wrong(Balance):
    """Gives a bad weight from step 2 on."""

    def __init__(self, weights: Mapping[str, object], bad: float) -> None:
        super().__init__(weights)
        self.bad, self.steps = bad, 0

    def observe(self, losses: Any, step_info: StepInfo, after: Any = None) -> None:
        self.steps = step_info.step + 1

    def effective_weights(self) -> dict[str, float]:
        return super().effective_weights() | ({"detection": self.bad} if self.steps == 2 else {})


class Forgetful(Balance):
    def terms(self, losses: Mapping[str, Tensor], step_info: StepInfo) -> dict[str, Tensor]:
        return {"regression": losses["regression"]}


class Nothing(Balance):
    """Of whose terms one is no number."""

    def terms(self, losses: Mapping[str, Tensor], step_info: StepInfo) -> dict[str, Tensor]:
        found = super().terms(losses, step_info)
        return found | {"detection": found["detection"] * float("nan")}


class Askew(Extent):
    """A task whose target torch would broadcast against its output."""

    def target(self, sample: Any) -> Target:
        return Target(*(torch.cat([one, one], dim=1) for one in super().target(sample)))


class NoBalance(nn.Module):
    def __init__(self, weights: Any) -> None:
        super().__init__()


@cache
def configured(*words: str) -> TrainSettings:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return TrainSettings.from_config(compose("train", [*SMALL, *THREE, *words]))


def model_of(*words: str) -> MultiTaskPose:
    settings = configured(*words)
    return build_model(settings, build_tasks(settings))


def own(balance: type, *words: str) -> MultiTaskPose:
    return model_of(f"balance._target_={HERE}.{balance.__name__}", *words)


def trainer_of(epochs: int, *watching: Callback, **given: Any) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[*watching], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, deterministic=True, **given,
    )  # fmt: skip


def fit(model: MultiTaskPose, epochs: int = 1, start: Path | None = None, *watching: Callback, **given: Any) -> Any:
    """Two steps an epoch."""
    trainer = trainer_of(epochs, *watching, **given)
    batches = DataLoader([batch_of(seed=0), batch_of(seed=1)], batch_size=None, shuffle=False)
    trainer.fit(model, batches, ckpt_path=start, weights_only=True)
    return trainer


class Gradients(Callback):
    """Keeps those that the optimiser gets, of every step: named."""

    def __init__(self) -> None:
        self.found: list[dict[str, Tensor]] = []

    def on_before_zero_grad(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        self._keep(pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        self._keep(pl_module)

    def _keep(self, module: L.LightningModule) -> None:
        found = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
        if found:
            self.found.append(found)


def gradients_of(model: MultiTaskPose, **given: Any) -> dict[str, Tensor]:
    """Those of the first step, as the optimiser gets them."""
    watch = Gradients()
    fit(model, 1, None, watch, **given)
    return watch.found[0]


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_pass_for_each_task_gives_the_gradients_of_one_for_all() -> None:
    """Heads to the bit, the trunk to the rounding."""
    plain, apart = gradients_of(model_of()), gradients_of(own(Summed))
    assert plain.keys() == apart.keys() and len({name.split(".")[2] for name in plain if "heads" in name}) == 3
    largest = max(float(value.abs().max()) for name, value in plain.items() if "trunk" in name)
    for name, value in plain.items():
        if "heads" in name:
            assert torch.equal(value, apart[name]), name
        else:
            torch.testing.assert_close(value, apart[name], rtol=1e-4, atol=1e-6 * largest)
            assert apart[name].stride() == value.stride()


def test_pcgrad_changes_the_trunk_where_tasks_conflict_and_no_head() -> None:
    plain, projected = gradients_of(model_of()), gradients_of(model_of("balance=pcgrad"))
    assert all(torch.equal(value, projected[name]) for name, value in plain.items() if "heads" in name)
    assert any(not torch.allclose(value, projected[name], rtol=1e-3) for name, value in plain.items())


@pytest.mark.parametrize("balance", ["uncertainty", "pcgrad"])
def test_bf16_gives_about_the_same(balance: str) -> None:
    exact = gradients_of(model_of(f"balance={balance}"))
    rough = gradients_of(model_of(f"balance={balance}"), precision="bf16-mixed")
    assert exact.keys() == rough.keys() and all(value.dtype == torch.float32 for value in rough.values())
    flat, other = (torch.cat([value.flatten() for value in found.values()]) for found in (exact, rough))
    assert not torch.equal(flat, other) and torch.cosine_similarity(flat, other, 0) > 0.99


@pytest.mark.parametrize("balance", ["uncertainty", "pcgrad"])
def test_a_resumed_run_ends_with_the_same_bits(balance: str, tmp_path: Path) -> None:
    whole = model_of(f"balance={balance}")
    fit(whole, 3)
    fit(model_of(f"balance={balance}"), 1).save_checkpoint(tmp_path / "one.ckpt")
    resumed = model_of(f"balance={balance}")
    fit(resumed, 3, tmp_path / "one.ckpt")
    same(whole.state_dict(), resumed.state_dict())
    assert whole.step_info == resumed.step_info == StepInfo(1, 2, 5)
    learned = [value for name, value in whole.state_dict().items() if name.startswith("balance.")]
    assert [bool((value != 0).all()) for value in learned] == ([True] if balance == "uncertainty" else [])


def test_what_a_balance_is_shown_changes_no_bit() -> None:
    plain, seeing = model_of(), own(Seeing)
    fit(plain, 2)
    fit(seeing, 2)
    same(plain.state_dict(), seeing.state_dict())
    seen = seeing.balance.seen
    assert isinstance(seen, list)
    assert [moment for moment, _, _ in seen] == [StepInfo(1, epoch, 2 * epoch + i) for epoch in (0, 1) for i in (0, 1)]
    assert all(set(losses) == set(after) == {"regression", "detection", "extent"} for _, losses, after in seen)


def test_the_losses_after_a_step_are_of_the_same_dropout() -> None:
    """A step of length zero changes none."""
    model = own(Seeing, "optim.groups.lr=0.0", "optim.groups.bias_lr=0.0")
    fit(model)
    assert all(losses == after for _, losses, after in model.balance.seen)  # type: ignore[union-attr]
    model = own(Seeing)
    fit(model)
    assert all(losses != after for _, losses, after in model.balance.seen)  # type: ignore[union-attr]


def test_clipping_is_of_the_network_alone() -> None:
    """The balance's own gradient, here a hundred times as long, is left, and does not shorten the network's."""
    found = gradients_of(model_of("balance=uncertainty"), gradient_clip_val=0.5)
    own_part = found.pop("balance.log_variances")
    assert float(torch.cat([value.flatten() for value in found.values()]).norm()) == pytest.approx(0.5, rel=1e-3)
    assert float(own_part.norm()) > 50
    same(gradients_of(model_of(), gradient_clip_val=0.5), gradients_of(own(FixedLike), gradient_clip_val=0.5))


class FixedLike(Balance):
    pass


def test_parameters_of_a_balance_are_a_group_of_their_own() -> None:
    plain, learned = (model_of(f"balance={name}").configure_optimizers() for name in ("fixed", "uncertainty"))
    assert [len(g["params"]) for g in learned.param_groups] == [*(len(g["params"]) for g in plain.param_groups), 1]
    assert learned.param_groups[-1]["weight_decay"] == 0
    assert learned.param_groups[-1]["lr"] == learned.param_groups[-2]["lr"]


@pytest.fixture
def checkpoints(tmp_path: Path) -> dict[str, Path]:
    """One of each balance."""
    found = {}
    for name in ("fixed", "uncertainty"):
        found[name] = tmp_path / f"{name}.ckpt"
        fit(model_of(f"balance={name}")).save_checkpoint(found[name])
    return found


def test_a_start_takes_over_no_balance(checkpoints: dict[str, Path]) -> None:
    skeleton = Skeleton(**{k: v for k, v in configured().skeleton.items() if k != "_target_"})
    for name in ("fixed", "uncertainty"):
        for balance in ("fixed", "uncertainty", "pcgrad"):
            model = model_of(f"balance={balance}")
            before = {k: v.clone() for k, v in model.balance.state_dict().items()}
            load_weights(model, checkpoints[name], skeleton)
            same(before, model.balance.state_dict())
            expected = torch.load(checkpoints[name], weights_only=True)["state_dict"]
            network = {k: v for k, v in expected.items() if not k.startswith("balance.")}
            same(network, {k: v for k, v in model.state_dict().items() if not k.startswith("balance.")})


def test_digests_tell_balances_apart_but_not_their_names() -> None:
    """And the settings that all rows of a study share say nothing of them."""
    fixed, renamed, learned, projected = (
        configured(*words) for words in ([], ["balance.name=mine", "row.name=det_1_extent_2"],
                                         ["balance=uncertainty", "row.name=det_1_extent_2"],
                                         ["balance=pcgrad", "row.name=det_1_extent_2"])
    )  # fmt: skip
    assert config_digest(fixed) == config_digest(renamed)
    assert len({config_digest(config) for config in (fixed, learned, projected)}) == 3
    assert len({config_digest(config, include_row=False) for config in (fixed, learned, projected)}) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([f"+balance.bad={bad}", f"balance._target_={HERE}.Wrong"],
         f"balance: Wrong gives the weight {said} to detection at step 2; weights must be finite and at least 0")
        for bad, said in (("nan", "nan"), ("-0.5", "-0.5"), ("inf", "inf"))
    ] + [
        ([f"balance._target_={HERE}.Forgetful"],
         "balance: Forgetful gives terms for regression, but the tasks with a weight are regression, detection, "),
        ([f"balance._target_={HERE}.Shortened"], "balance: Shortened combines gradients of "),
        ([f"balance._target_={HERE}.Nothing"], "balance: Nothing turns the loss of detection into nan"),
    ],
)  # fmt: skip
def test_a_bad_balance_ends_in_one_line(words: list[str], line: str) -> None:
    model = model_of(*words)
    with pytest.raises(UserError) as raised:
        fit(model, 2)
    assert str(raised.value).startswith(line) and "\n" not in str(raised.value)


def test_a_task_whose_shapes_do_not_fit_ends_in_one_line() -> None:
    said = r"^tasks\.extent: Askew\.target\(\) gives values of shape \(\d+, 2\); its output has"
    with pytest.raises(UserError, match=said):
        fit(model_of(f"tasks.extent._target_={HERE}.Askew"), 1)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([f"balance._target_={HERE}.NoBalance"], f"balance._target_: must name a hmlpe.balance.Balance, got '{HERE}."),
        (
            ["balance._target_=nowhere.Balance"],
            "balance: Error locating target 'nowhere.Balance': No module named 'nowhere'",
        ),
        (["+balance.temperature=2"], "balance.temperature: there is no such setting; there are weights"),
        (
            ["balance=pcgrad", "row.weights.detection=0", "row.weights.extent=0"],
            "balance: PCGrad combines the gradients of several tasks",
        ),
        (["balance=pcgrad", "row.weights.detection=-1"], "row.weights.detection: a weight must be a finite number of"),
        (["+row.weights.pose=1"], "row.weights.pose: there is no such task; there are regression, detection, extent"),
        (["row.weights=3"], "row.weights: must be weights by task name, got 3"),
    ],
)
def test_a_balance_that_cannot_be_is_refused_in_one_line(words: list[str], line: str) -> None:
    with pytest.raises(UserError) as raised:
        build_balance(configured(*words))
    assert str(raised.value).startswith(line) and "\n" not in str(raised.value)


def test_the_balances_of_the_configurations() -> None:
    assert type(build_balance(configured())) is FixedWeights
    assert type(build_balance(configured("balance=uncertainty"))) is UncertaintyWeights
    assert build_balance(configured("~row.weights.detection")).weights == {
        "regression": 1.0, "extent": 2.0, "detection": 0.0}  # fmt: skip
