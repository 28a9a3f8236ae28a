"""The LightningModule of the heterogeneous network, with one backward pass per task if the balance needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric, MetricCollection

from hmlpe.balance import Balance, StepInfo
from hmlpe.data.dataset import Sample
from hmlpe.metrics import PersonMetric, TaskError
from hmlpe.network import HeterogeneousNet
from hmlpe.runs.people import ERRORS
from hmlpe.tasks import Target, Task
from hmlpe.training.checkpoint import KEY
from hmlpe.training.ranks import mean_over_ranks, rank_and_world

RANK_STRIDE = 2_654_435_761  # keeps the ranks' seeds far apart in the 32 bits of a seed that the CPU's generator uses
OptimizerFactory = Callable[[nn.Module, nn.Module], torch.optim.Optimizer]
SchedulerFactory = Callable[[torch.optim.Optimizer, int], LRScheduler]


def backward_per_task(
    network: HeterogeneousNet,
    balance: Balance,
    terms: Mapping[str, Float[Tensor, ""]],
    extra_loss: Float[Tensor, ""] | None,
    step_info: StepInfo,
) -> None:
    """Run one backward pass per task, and add the results to the parameters' gradients.

    The trunk gets the gradient that the balance combines from the terms' gradients; the heads and the balance get the
    gradients of the terms' sum.

    All gradients are means over all ranks. The ranks go through the tasks in the same order, as the backward pass
    through the global batch normalisation needs them all. Nothing else may average the gradients: they do not pass
    through the parameters' own gradient accumulation, whose hooks torch's DDP waits for.

    Args:
        network: the network.
        balance: the balance, which combines gradients.
        terms: the balance's terms by task, i.e. the weighted losses, with their autograd graph.
        extra_loss: the balance's `extra_loss`, with its autograd graph; None if there is none.
        step_info: seed, epoch and number of the present step.
    """
    of_heads = {id(p) for head in network.heads.values() for p in head.parameters()}
    shared = [p for p in network.parameters() if p.requires_grad and id(p) not in of_heads]
    learned = [p for p in balance.parameters() if p.requires_grad]
    size, last, gradients = sum(p.numel() for p in shared), list(terms)[-1], {}
    for task, term in terms.items():
        own = [*(p for p in network.heads[task].parameters() if p.requires_grad), *learned]
        gradient = _flat_gradient(term, [*shared, *own], retain_graph=task != last)
        gradients[task] = gradient[:size]
        _add_to_gradients(own, gradient[size:])
    _add_to_gradients(shared, balance.checked_combine(gradients, step_info))
    if extra_loss is not None and learned:
        _add_to_gradients(learned, _flat_gradient(extra_loss, learned))


def _flat_gradient(
    loss: Float[Tensor, ""], parameters: Sequence[nn.Parameter], retain_graph: bool = False
) -> Float[Tensor, " value"]:
    """Return the gradient of a scalar loss with respect to the parameters, as one vector, averaged over all ranks.

    It is zero for parameters on which the loss does not depend. `retain_graph` keeps the graph for another backward
    pass.
    """
    parts = torch.autograd.grad(loss, parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True)
    return mean_over_ranks(torch.cat([part.flatten() for part in parts]))


def _add_to_gradients(parameters: Sequence[nn.Parameter], flat_gradient: Float[Tensor, " value"]) -> None:
    """Add a gradient to the parameters' `.grad`, which has the parameters' memory layout.

    Args:
        parameters: the parameters.
        flat_gradient: their gradients, flattened and concatenated in the same order.
    """
    for parameter, part in zip(parameters, flat_gradient.split([p.numel() for p in parameters]), strict=True):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        parameter.grad += part.view_as(parameter)


class MultiTaskPose(L.LightningModule):
    """Trains the network on all active tasks together: each step minimises the balance's combination of their losses.

    Evaluation logs unweighted errors and metrics.

    Args:
        network: the network, with a head for each task.
        tasks: the tasks, by name.
        balance: combines the tasks' losses, or their gradients at the trunk.
        metrics: the metrics, by the task whose output they read, then by name.
        optimizer: factory that makes the optimiser for the network and the balance.
        scheduler: factory that makes the learning-rate schedule, given the optimiser and the number of steps; None
            keeps the rate constant.
        config: the configuration from which the module was built, in plain containers; every checkpoint carries it.
        made_by: digests of configuration, code and data, by which the module is trained; every checkpoint carries them.
        seed: dropout draws from (seed, step, rank), so that a resumed run continues as if it had not stopped.
    """

    def __init__(
        self,
        network: HeterogeneousNet,
        tasks: Mapping[str, Task],
        balance: Balance,
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
        self.metrics = metric_collection(metrics, balance.active)
        self.metrics_by_task = {name: dict(own) for name, own in metrics.items()}
        self.errors = nn.ModuleDict({name: task_error_metric(name, self.tasks[name]) for name in balance.active})
        self.split = "val"
        self.step_losses: dict[str, Tensor] = {}  # unweighted, with their graph, for callbacks
        self.step_terms: dict[str, Tensor] = {}  # the balance's terms
        self.step_extra: Tensor | None = None  # the balance's extra loss
        self.step_means: dict[str, Tensor] = {}  # the losses' means over all ranks
        self.step_info = StepInfo(seed, 0, 0)
        self.checked = False  # whether the shapes of the tasks' targets and losses have been checked
        self.config, self.made_by, self.steps_before = dict(config), dict(made_by), 0
        for name, head in network.heads.items():
            head.requires_grad_(name in balance.active)  # the head of a task without weight stays untouched

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # no other argument of Lightning's has a meaning here
        cls, checkpoint_path: str | Path, map_location: Any = None, trust: Sequence[str] = ()
    ) -> MultiTaskPose:
        """Return the module of a checkpoint, built from the configuration in the file. No code in the file is executed.

        Args:
            checkpoint_path: path of a checkpoint, e.g. a run's checkpoints/model.ckpt.
            map_location: the device; None means the CPU.
            trust: see `weights.load_model`.

        Raises:
            UserError: see `weights.load_model`.
        """
        from hmlpe.training.weights import load_model

        return load_model(Path(checkpoint_path), trust).to(map_location or "cpu")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add configuration, digests and number of steps to a checkpoint, which still loads under `weights_only`."""
        steps = self.steps_before + int(self.trainer.estimated_stepping_batches)
        checkpoint[KEY] = {"version": 1, "config": self.config, "made_by": self.made_by, "steps": steps}

    def losses(self, batch: Sample) -> tuple[dict[str, Float[Tensor, ""]], dict[str, Tensor], dict[str, Target]]:
        """Return three dicts by active task: the unweighted losses, the outputs and the targets."""
        targets = {name: self.tasks[name].target(batch) for name in self.balance.active}
        outputs = self.network(batch["image"], self.balance.active)
        if not self.checked:
            for name, target in targets.items():
                self.tasks[name].check(name, outputs[name], target)
            self.checked = True
        return {name: self.tasks[name].loss(outputs[name], targets[name]) for name in targets}, outputs, targets

    def total_loss(self, losses: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the scalar that the step minimises, and keep its terms for `backward`.

        It is phi (paper equation 4): the sum of the balance's terms, and of its extra loss if it has one.
        """
        self.step_info = StepInfo(self.seed, self.current_epoch, self.global_step)
        self.step_terms, self.step_extra = self.balance.checked_terms(losses, self.step_info), self.balance.extra_loss()
        total = torch.stack(list(self.step_terms.values())).sum()
        return total if self.step_extra is None else total + self.step_extra

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Run the backward pass of the total loss, or one pass per task if the balance combines gradients."""
        if self.balance.combines_gradients:
            backward_per_task(self.network, self.balance, self.step_terms, self.step_extra, self.step_info)
        else:
            super().backward(loss, *args, **kwargs)

    def on_train_start(self) -> None:
        """Turn off DDP's averaging of gradients if the balance combines them, as `backward_per_task` averages them."""
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel) and self.balance.combines_gradients:
            wrapped.require_backward_grad_sync = False

    def on_train_batch_start(self, batch: Sample, batch_idx: int) -> None:
        """Seed the random numbers of the dropout in this step."""
        self.seed_dropout(self.global_step)

    def seed_dropout(self, step: int) -> None:
        """Seed torch's generator from (seed, step, rank), so that a resumed run draws the same dropout in this step."""
        torch.manual_seed(self.seed * 1_000_003 + step + rank_and_world()[0] * RANK_STRIDE)

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        """Return the total loss of the batch, and log it with each task's loss, its weighted loss and its weight."""
        losses, _, _ = self.losses(batch)
        self.step_losses = losses
        total = self.total_loss(losses)
        size = len(batch["image"])
        shown = {"total": total, **losses, **{f"{name}_weighted": term for name, term in self.step_terms.items()}}
        means = dict(zip(shown, mean_over_ranks(torch.stack(list(shown.values()))), strict=True))
        self.step_means = {name: means[name] for name in losses}
        for name, value in means.items():
            self.log(f"train/{name}", value, batch_size=size, prog_bar=name == "total", on_step=True, on_epoch=False)
        if self.balance.changes_weights:
            for name, weight in self.balance.checked_weights(self.step_info).items():
                self.log(f"train/weight/{name}", weight, batch_size=size, on_step=True, on_epoch=False)
        return total

    def on_train_batch_end(self, outputs: Any, batch: Sample, batch_idx: int) -> None:
        """Pass the step's losses to the balance and, if it needs them, the losses of the same batch after the step."""
        after = self.losses_after_step(batch) if self.balance.needs_losses_after else None
        self.balance.observe(self.step_means, self.step_info, after)

    @torch.no_grad()
    def losses_after_step(self, batch: Sample) -> dict[str, Float[Tensor, ""]]:
        """Return the losses of the step's batch after the step, with the same dropout, averaged over all ranks.

        The network's buffers (running statistics) are restored afterwards.
        """
        kept = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        self.seed_dropout(self.step_info.step)
        with self.trainer.precision_plugin.train_step_context():
            losses, _, _ = self.losses(batch)
        for name, buffer in self.network.named_buffers():
            buffer.copy_(kept[name])
        return dict(zip(losses, mean_over_ranks(torch.stack(list(losses.values()))), strict=True))

    def validation_step(self, batch: Sample, batch_idx: int) -> dict[str, Tensor]:
        """Update the tasks' errors and the metrics with an evaluation batch.

        Returns:
            The results for each person of the batch, by name: the arrays of `metric_inputs`, and as `errors/<name>`
            (batch, item) each person's errors under each metric.
        """
        with torch.autocast(self.device.type, enabled=False):  # reported numbers are computed in full precision
            _, outputs, targets = self.losses(batch)
            errors = {name: self.tasks[name].sample_errors(outputs[name], targets[name]) for name in targets}
        for name, error in errors.items():
            self._error_metric(name).update(error, targets[name].has_known)
        inputs = self.metric_inputs(batch, outputs, targets)
        self.metrics.update(**inputs)
        kept = [*map(self._error_metric, self.errors), *self.metrics.values()]
        return inputs | {f"{ERRORS}{one.array}": one.last_errors for one in kept if isinstance(one, PersonMetric)}

    def on_validation_epoch_end(self) -> None:
        """Log the errors and metrics of the present split, computed over the people of all processes."""
        for name in self.errors:
            for key, value in self._error_metric(name).compute().items():
                self.log(f"{self.split}/{key}", value, prog_bar=True)
            self._error_metric(name).reset()
        found = self.metrics.compute()
        self.log_dict({f"{self.split}/{name}": value for name, value in found.items()})
        self.metrics.reset()

    def _error_metric(self, task: str) -> TaskError:
        error = self.errors[task]
        assert isinstance(error, TaskError)
        return error

    def test_step(self, batch: Sample, batch_idx: int) -> dict[str, Tensor]:
        """Do the same as `validation_step`."""
        return self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Do the same as `on_validation_epoch_end`."""
        self.on_validation_epoch_end()

    def metric_inputs(
        self, batch: Sample, outputs: Mapping[str, Tensor], targets: Mapping[str, Target]
    ) -> dict[str, Tensor]:
        """Return the arrays (batch, ...) that metrics may take as arguments, by name.

        They are the active tasks' decoded outputs, and the ground truth.
        """
        found = {
            "truth_crop_px": batch["joints_px"],
            "truth_px": batch["truth_px"],
            "torso_px": batch["torso_px"],
            "box_px": batch["box_px"],
        }
        for name, output in outputs.items():
            found |= self.tasks[name].metric_inputs(output, targets[name], batch)
        return found

    def configure_optimizers(self) -> Any:
        """Return the optimiser and, if there is one, the learning-rate schedule, which is stepped after each batch."""
        optimizer = self.make_optimizer(self.network, self.balance)
        if self.make_scheduler is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        return [optimizer], [{"scheduler": self.make_scheduler(optimizer, steps), "interval": "step"}]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clip the network's gradients alone.

        The gradients of the balance's own parameters are of another magnitude, and would otherwise determine how much
        the network's gradients are clipped.
        """
        if gradient_clip_val:  # Lightning's own refuses fused optimisers under bf16
            of_balance = {id(p) for p in self.balance.parameters()}
            every = (p for group in optimizer.param_groups for p in group["params"])
            nn.utils.clip_grad_norm_([p for p in every if id(p) not in of_balance], gradient_clip_val)


def task_error_metric(name: str, task: Task) -> TaskError:
    """Return a new metric that averages a task's own error, i.e. its unweighted loss, over people."""
    return TaskError(name, task.symbol or name, task.digits)


def metric_collection(metrics: Mapping[str, Mapping[str, Metric]], tasks: Iterable[str]) -> MetricCollection:
    """Return the metrics of these tasks as one collection.

    A metric's name in the collection is `<task>_<name>`. Each metric takes those arrays of
    `MultiTaskPose.metric_inputs` that its `update` names as arguments.

    Args:
        metrics: the metrics, by the task whose output they read, then by name.
        tasks: the tasks whose metrics are wanted.
    """
    own = {f"{task}_{name}": metric for task in tasks for name, metric in metrics.get(task, {}).items()}
    return MetricCollection(own, compute_groups=False)  # type: ignore[arg-type]  # a dict of metrics is one of its kinds
