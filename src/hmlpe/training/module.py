"""The LightningModule around the heterogeneous network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric, MetricCollection

from hmlpe.balance import FixedWeights
from hmlpe.data.dataset import Sample
from hmlpe.metrics import PersonMetric, TaskError
from hmlpe.network import HeterogeneousNet
from hmlpe.runs.people import ERRORS
from hmlpe.tasks import Target, Task
from hmlpe.training.checkpoint import KEY
from hmlpe.training.ranks import mean_of_all, place

RANK_STRIDE = 2_654_435_761  # far apart in the 32 bits that the CPU's generator takes of a seed

OptimizerFactory = Callable[[nn.Module], torch.optim.Optimizer]
SchedulerFactory = Callable[[torch.optim.Optimizer, int], LRScheduler]


class MultiTaskPose(L.LightningModule):
    """One step minimises phi, the balance of the active tasks' losses; evaluation logs unweighted errors and metrics.

    Args:
        network: with a head for each task.
        tasks: by name.
        balance: the weights.
        metrics: by the task whose output they read, then by name.
        optimizer: makes the optimiser for the network.
        scheduler: makes the schedule, given the optimiser and the number of steps; None keeps the rate constant.
        config: what the module was built from, in plain containers; every checkpoint carries it.
        made_by: digests of configuration, code and data; every checkpoint carries them.
        seed: dropout draws from (seed, step, rank), so that a resumed run goes on as if it had not stopped.
    """

    def __init__(
        self,
        network: HeterogeneousNet,
        tasks: Mapping[str, Task],
        balance: FixedWeights,
        metrics: Mapping[str, Mapping[str, Metric]],
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        config: Mapping[str, Any],
        made_by: Mapping[str, str],
        seed: int,
    ) -> None:
        super().__init__()
        self.network, self.tasks, self.balance = network, dict(tasks), balance
        self.make_optimizer, self.make_scheduler, self.seed = optimizer, scheduler, seed
        self.metrics = collected(metrics, balance.active)
        self.metrics_of = {name: dict(own) for name, own in metrics.items()}
        self.errors = nn.ModuleDict({name: error_of(name, self.tasks[name]) for name in balance.active})
        self.split = "val"
        self.step_losses: dict[str, Tensor] = {}  # unweighted, with their graph: for who wants to look into the step
        self.config, self.made_by, self.steps_before = dict(config), dict(made_by), 0
        for name, head in network.heads.items():
            head.requires_grad_(name in balance.active)  # the head of a task without weight stays untouched

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the checkpoint is of; it still loads under `weights_only`."""
        steps = self.steps_before + int(self.trainer.estimated_stepping_batches)
        checkpoint[KEY] = {"version": 1, "config": self.config, "made_by": self.made_by, "steps": steps}

    def losses(self, batch: Sample) -> tuple[dict[str, Float[Tensor, ""]], dict[str, Tensor], dict[str, Target]]:
        """Unweighted loss, output and target of each active task."""
        targets = {name: self.tasks[name].target(batch) for name in self.balance.active}
        outputs = self.network(batch["image"], self.balance.active)
        return {name: self.tasks[name].loss(outputs[name], targets[name]) for name in targets}, outputs, targets

    def on_train_batch_start(self, batch: Sample, batch_idx: int) -> None:
        """Dropout of this step."""
        torch.manual_seed(self.seed * 1_000_003 + self.global_step + place()[0] * RANK_STRIDE)

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        """phi of the batch."""
        losses, _, _ = self.losses(batch)
        self.step_losses = losses
        terms = self.balance.weighted(losses)
        total = torch.stack(list(terms.values())).sum()
        size = len(batch["image"])
        shown = {"total": total, **losses, **{f"{name}_weighted": term for name, term in terms.items()}}
        for name, value in zip(shown, mean_of_all(torch.stack(list(shown.values()))), strict=True):
            self.log(f"train/{name}", value, batch_size=size, prog_bar=name == "total", on_step=True, on_epoch=False)
        return total

    def validation_step(self, batch: Sample, batch_idx: int) -> dict[str, Tensor]:
        """Errors and metrics of an evaluation batch, under the name of the split that is being read.

        Returns:
            What was found of each person: `view`, and `errors/<name>` (batch, item), the metrics' errors.
        """
        with torch.autocast(self.device.type, enabled=False):  # numbers that are reported are exact
            _, outputs, targets = self.losses(batch)
            errors = {name: self.tasks[name].error_of_each(outputs[name], targets[name]) for name in targets}
        for name, error in errors.items():
            self._error(name).update(error, targets[name].counts)
        view = self.view(batch, outputs, targets)
        self.metrics.update(**view)
        kept = [*map(self._error, self.errors), *self.metrics.values()]
        return view | {f"{ERRORS}{one.array}": one.last for one in kept if isinstance(one, PersonMetric)}

    def on_validation_epoch_end(self) -> None:
        """Log errors and metrics of the split, over all people of all processes."""
        for name in self.errors:
            for key, value in self._error(name).compute().items():
                self.log(f"{self.split}/{key}", value, prog_bar=True)
            self._error(name).reset()
        found = self.metrics.compute()
        self.log_dict({f"{self.split}/{name}": value for name, value in found.items()})
        self.metrics.reset()

    def _error(self, task: str) -> TaskError:
        error = self.errors[task]
        assert isinstance(error, TaskError)
        return error

    def test_step(self, batch: Sample, batch_idx: int) -> dict[str, Tensor]:
        """As validation."""
        return self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """As validation."""
        self.on_validation_epoch_end()

    def view(self, batch: Sample, outputs: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, Tensor]:
        """What metrics may ask for: the decoded outputs of the active tasks, and the truth."""
        found = {
            "truth_crop_px": batch["joints_px"],
            "truth_px": batch["truth_px"],
            "torso_px": batch["torso_px"],
            "box_px": batch["box_px"],
        }
        for name, output in outputs.items():
            found |= self.tasks[name].found(output, targets[name], batch)
        return found

    def configure_optimizers(self) -> Any:
        """The optimiser, and its schedule stepped after each batch."""
        optimizer = self.make_optimizer(self.network)
        if self.make_scheduler is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        return [optimizer], [{"scheduler": self.make_scheduler(optimizer, steps), "interval": "step"}]


def error_of(name: str, task: Task) -> TaskError:
    """The metric of a task's own error."""
    return TaskError(name, task.symbol or name, task.digits)


def collected(metrics: Mapping[str, Mapping[str, Metric]], tasks: Iterable[str]) -> MetricCollection:
    """The metrics of these tasks as one; each takes of a `view` what it asks for."""
    own = {f"{task}_{name}": metric for task in tasks for name, metric in metrics.get(task, {}).items()}
    return MetricCollection(own, compute_groups=False)  # type: ignore[arg-type]  # a dict of metrics is one of its kinds
