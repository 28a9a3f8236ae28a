"""Measurements kept for each person, and metrics that average over them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from hmlpe.errors import UserError
from hmlpe.runs.metric import MetricInfo, Reduction


class PersonArrays(Metric):
    """Collects named arrays with one entry per person, over all batches and processes.

    The result is ordered by the people's row numbers in the pack, however they were spread over batches and processes.

    Args:
        names: names of the arrays.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = ("row", *names)
        for name in self.names:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, row: Int[Tensor, " batch"], **arrays: Shaped[Tensor, "batch ..."]) -> None:
        """Add a batch.

        Args:
            row: (batch,) the people's rows in the pack.
            arrays: values for these people, by name; those that are not among `names` are left out.
        """
        for name, value in {"row": row, **arrays}.items():
            if name in self.names:
                getattr(self, name).append(value.detach())

    def compute(self) -> dict[str, Tensor]:
        """Return `row` (person,) in increasing order, and every named array (person, ...) in the same order."""
        found = {name: dim_zero_cat(getattr(self, name)) for name in self.names}
        order = torch.argsort(found["row"])
        return {name: value[order] for name, value in found.items()}


class PersonMetric(Metric):
    """A metric that keeps the errors of every person's items (joints, sticks, or a single one).

    Any threshold, curve or resampling of people is then computed from the same errors by the same code.

    To add a metric, write a subclass: its `update` takes, by name, the inputs that it needs (`hmlpe.metrics` lists
    them) and passes its errors to `add`; its `infos` describes the numbers that are computed from them. An evaluation
    stores the errors in the run's people file, under `array`.

    Args:
        array: name of the array of errors.
    """

    errors: list[Tensor]

    def __init__(self, array: str) -> None:
        super().__init__()
        self.array = array
        self.add_state("errors", [], dist_reduce_fx="cat")

    @abstractmethod
    def infos(self) -> dict[str, MetricInfo]:
        """Return the description of each number that the metric gives, by name, with its reduction of the errors."""

    def add(self, errors: Float[Tensor, "batch item"], known: Bool[Tensor, "batch item"]) -> None:
        """Add the errors of a batch.

        An error that is NaN although the truth is known means that there is no prediction; it is stored as infinite.
        """
        missed = torch.full_like(errors, torch.inf)
        self.errors.append(torch.where(errors.isnan(), missed, errors).where(known, torch.nan).detach())

    @property
    def last_errors(self) -> Float[Tensor, "batch item"]:
        """Return the errors of the batch that was added last, (batch, item)."""
        return self.errors[-1]

    def all_errors(self) -> Float[Tensor, "person item"]:
        """Return the errors of all people: NaN where the truth is unknown, infinite where there is no prediction."""
        return dim_zero_cat(self.errors) if len(self.errors) else torch.empty(0, 1)

    def compute(self) -> dict[str, Tensor]:
        """Return all of the metric's numbers, by name, with each person counted once."""
        errors = self.all_errors().cpu().numpy() if len(self.errors) else None
        found = {}
        for name, info in self.infos().items():
            assert info.reduction is not None, f"{name}: without a reduction"
            value = torch.nan if errors is None else float(info.reduction(errors)[0])
            found[name] = torch.tensor(value, dtype=torch.float32)
        return found


class GroupMetric(PersonMetric):
    """A metric whose numbers are those of groups of items (joints, sticks).

    Args:
        array: name of the array of errors.
        items: names of the joints or sticks.
        groups: name in the result -> items, e.g. wrist -> left_wrist, right_wrist.

    Raises:
        UserError: a group names an item that is not in `items`.
    """

    def __init__(self, array: str, items: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
        super().__init__(array)
        unknown = [(name, item) for name, own in groups.items() for item in own if item not in items]
        if unknown:
            group, item = unknown[0]
            raise UserError(f"metrics: {group}: no {item!r} here; there are {', '.join(items)}")
        self.items = tuple(items)
        self.groups = {str(name): tuple(self.items.index(item) for item in own) for name, own in groups.items()}


class TaskError(PersonMetric):
    """A task's unweighted loss, averaged over the people whose ground truth is at least partly known.

    Two existing means are wrong here and not used: Lightning's mean over processes (2.6) divides by the mean of the
    processes' counts, rounded down to a whole number; torchmetrics' MeanMetric (1.9), when it keeps NaN, forgets the
    weights.

    Args:
        task: name of the task.
        symbol: index of its error, which is shown as E_<symbol>.
        digits: number of decimal places with which the error is shown.
    """

    def __init__(self, task: str, symbol: str, digits: int = 4) -> None:
        super().__init__(f"{task}_error")
        self.task, self.symbol, self.digits = task, symbol, digits

    def infos(self) -> dict[str, MetricInfo]:
        """Return the description of the number `<task>_error`."""
        info = MetricInfo(
            title=f"{self.task.replace('_', ' ')} error",
            heading=f"E_{self.symbol}",
            digits=self.digits,
            better="low",
            task=self.task,
            kind="error",
            reduction=Reduction(errors=self.array),
        )
        return {self.array: info}

    def update(self, errors: Float[Tensor, " batch"], known: Bool[Tensor, " batch"]) -> None:
        """Add the errors of a batch; people who are not `known` are left out of the mean."""
        self.add(errors[:, None], known[:, None])
