"""What is measured person by person: the rows that are kept, and metrics that average over them."""

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


class Rows(Metric):
    """Named arrays, a line a person, in the order of their row numbers, however people lie in batches and on processes.

    Args:
        names: of the arrays.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = ("row", *names)
        for name in self.names:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, row: Int[Tensor, " batch"], **found: Shaped[Tensor, "batch ..."]) -> None:
        """Add people; what no name was given for is left out."""
        for name, value in {"row": row, **found}.items():
            if name in self.names:
                getattr(self, name).append(value.detach())

    def compute(self) -> dict[str, Tensor]:
        """`row` (person,), growing, and every named array, (person, ...)."""
        found = {name: dim_zero_cat(getattr(self, name)) for name in self.names}
        order = torch.argsort(found["row"])
        return {name: value[order] for name, value in found.items()}


class PersonMetric(Metric):
    """Keeps every person's item errors, so that any threshold, curve or resampling of people is the same code.

    A metric of one's own is a subclass: `update` takes, by name, what it needs of `hmlpe.metrics`' list, and hands its
    errors to `add`; `infos` says which numbers they become, and what these are. In an evaluation the errors are kept in
    the run's people file, under `array`.

    Args:
        array: name of the errors.
    """

    errors: list[Tensor]

    def __init__(self, array: str) -> None:
        super().__init__()
        self.array = array
        self.add_state("errors", [], dist_reduce_fx="cat")

    @abstractmethod
    def infos(self) -> dict[str, MetricInfo]:
        """The numbers by name, each with a reduction of the errors."""

    def add(self, errors: Float[Tensor, "batch item"], known: Bool[Tensor, "batch item"]) -> None:
        """Add people; an error that is NaN though the truth is known is that of no answer."""
        missed = torch.full_like(errors, torch.inf)
        self.errors.append(torch.where(errors.isnan(), missed, errors).where(known, torch.nan).detach())

    @property
    def last(self) -> Float[Tensor, "batch item"]:
        """The errors of the people who were added last."""
        return self.errors[-1]

    def all_errors(self) -> Float[Tensor, "person item"]:
        """Everyone's errors; NaN where the truth is unknown, infinite where there is no answer."""
        return dim_zero_cat(self.errors) if len(self.errors) else torch.empty(0, 1)

    def number(self, name: str, counts: Float[Tensor, "draw person"] | None = None) -> Float[Tensor, " draw"]:
        """One of the numbers, of each of several resamplings of people, or with everyone once."""
        reduction = self.infos()[name].reduction
        assert reduction is not None
        errors = self.all_errors().cpu().numpy()
        return torch.from_numpy(reduction(errors, None if counts is None else counts.double().numpy()))

    def compute(self) -> dict[str, Tensor]:
        """All numbers, everyone counting once."""
        errors = self.all_errors().cpu().numpy() if len(self.errors) else None
        found = {}
        for name, info in self.infos().items():
            assert info.reduction is not None, f"{name}: without a reduction"
            value = torch.nan if errors is None else float(info.reduction(errors)[0])
            found[name] = torch.tensor(value, dtype=torch.float32)
        return found


class GroupMetric(PersonMetric):
    """One whose numbers are those of groups of items (joints, sticks).

    Args:
        array: name of the errors.
        items: names of the joints or sticks.
        groups: name in the result -> items, e.g. wrist -> left_wrist, right_wrist.
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
    """The task's own error, averaged over the people of whom anything is known: its loss, unweighted.

    Two means are not used, as they are wrong here: Lightning's over processes divides by the mean of their counts
    rounded down to a whole (2.6), and torchmetrics' MeanMetric that keeps NaN forgets the weights (1.9).

    Args:
        task: its name.
        symbol: of its error, E_<symbol>.
        digits: with which it is shown.
    """

    def __init__(self, task: str, symbol: str, digits: int = 4) -> None:
        super().__init__(f"{task}_error")
        self.task, self.symbol, self.digits = task, symbol, digits

    def infos(self) -> dict[str, MetricInfo]:
        """`<task>_error`."""
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

    def update(self, errors: Float[Tensor, " batch"], counts: Bool[Tensor, " batch"]) -> None:
        """Add people, of whom some count."""
        self.add(errors[:, None], counts[:, None])
