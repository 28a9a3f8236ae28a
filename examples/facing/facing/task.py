"""Which way does someone face? A task on an attribute of a person, and how well it is answered."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.errors import UserError
from hmlpe.metrics import PersonMetric
from hmlpe.runs.metric import SHARE, MetricInfo, Reduction
from hmlpe.tasks import Sample, Target, Task


class Facing(Task):
    """One class for each person, by cross-entropy.

    Args:
        attribute: name of the people's attribute, which is a class.
        classes: how many there are.
        mirrored: the class that each becomes in a mirrored view.
    """

    symbol = "f"

    def __init__(self, attribute: str, classes: int, mirrored: Sequence[int]) -> None:
        if sorted(mirrored) != list(range(classes)):
            raise UserError(f"mirrored: must name each of the {classes} classes once, got {list(mirrored)}")
        self.attribute, self.mirrored = attribute, torch.tensor(list(mirrored))
        self.place: int | None = None

    @property
    def outputs(self) -> int:
        """One a class."""
        return len(self.mirrored)

    def bind(self, attributes: Sequence[str]) -> None:
        """Find the attribute."""
        if self.attribute not in attributes:
            raise UserError(
                f"the data's people have no {self.attribute!r}; they have {', '.join(attributes) or 'none'}"
            )
        self.place = list(attributes).index(self.attribute)

    def target(self, sample: Sample) -> Target:
        """One-hot, (batch, class). Raises UserError before `bind`, as any attribute would do."""
        if self.place is None:
            raise UserError("facing: bind the task to the data's attributes first")
        value = sample["attributes"][:, self.place]
        known = value.isfinite()[:, None].expand(-1, self.outputs)
        seen = value.nan_to_num().long()
        seen = torch.where(sample["mirrored"], self.mirrored.to(seen.device)[seen], seen)
        return Target(torch.nn.functional.one_hot(seen, self.outputs).float(), known)

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """The part of each class in the cross-entropy."""
        return -values * output.log_softmax(-1)

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """facing (batch, class): probabilities."""
        return {"facing": output.float().softmax(-1)}

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """facing_truth (batch,): the class, NaN where unknown."""
        return {"facing_truth": target.values.argmax(-1).float().where(target.has_known, torch.nan)}


class FacingAccuracy(PersonMetric):
    """Share of people whose likeliest class is the true one."""

    def __init__(self) -> None:
        super().__init__("facing_wrong")

    def infos(self) -> dict[str, MetricInfo]:
        """`facing_accuracy`."""
        reduction = Reduction(errors=self.array, within=(0.5,))
        info = MetricInfo(title="facing, right", panel="facing", label="right", reduction=reduction, **SHARE)
        return {"facing_accuracy": info}

    def update(self, facing: Float[Tensor, "batch output"], facing_truth: Float[Tensor, " batch"]) -> None:
        """Add people."""
        wrong = (facing.argmax(-1) != facing_truth.nan_to_num()).float()
        self.add(wrong[:, None], facing_truth.isfinite()[:, None])
