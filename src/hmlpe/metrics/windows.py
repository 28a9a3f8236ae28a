"""How well the windows are detected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from hmlpe.runs.metric import SHARE, MetricInfo
from hmlpe.skeleton import Skeleton


class MapAP(Metric):
    """Average precision of each item's detectors, over all windows and people together.

    Args:
        items: names, one a map.
        name: of the mean in the result; `<name>_<item>` are those of single items.
        title: for a reader.
        section: of a dashboard.
    """

    scores: list[Tensor]
    truth: list[Tensor]

    def __init__(self, items: Sequence[str], name: str, title: str, section: str) -> None:
        super().__init__()
        self.items, self.name, self.title, self.section = list(items), name, title, section
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def add(self, maps: Float[Tensor, "batch item window"], truth: Float[Tensor, "batch item window"]) -> None:
        """Add people; an item with NaN truth does not count."""
        self.scores.append(maps.transpose(1, 2).flatten(0, 1))
        self.truth.append(truth.transpose(1, 2).flatten(0, 1))

    def infos(self) -> dict[str, MetricInfo]:
        """The mean's and each item's."""
        told = SHARE | {"section": self.section}
        single = {
            f"{self.name}_{item}": MetricInfo(title=f"{self.title} {item.replace('_', ' ')}", shown=False, **told)
            for item in self.items
        }
        return {self.name: MetricInfo(title=self.title, **told)} | single

    def compute(self) -> dict[str, Tensor]:
        """`<name>_<item>`, and `<name>`, the mean over the items that occur."""
        scores, truth = dim_zero_cat(self.scores), dim_zero_cat(self.truth)
        found = {}
        for i, item in enumerate(self.items):
            known = truth[:, i].isfinite()
            positives = bool(truth[known, i].any())
            ap = (
                binary_average_precision(scores[known, i], truth[known, i].long())
                if positives
                else torch.tensor(torch.nan)
            )
            found[f"{self.name}_{item}"] = ap
        return {self.name: torch.stack(list(found.values())).nanmean(), **found}


class WindowAP(MapAP):
    """Of each part's detectors.

    Args:
        skeleton: whose parts they are.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(list(skeleton.parts), "window_ap", "window AP", "Part detectors")

    def update(
        self, part_maps: Float[Tensor, "batch part window"], part_truth: Float[Tensor, "batch part window"]
    ) -> None:
        """Add people; a part with NaN truth does not count."""
        self.add(part_maps, part_truth)
