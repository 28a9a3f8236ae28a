"""Average precision of the classifiers that say which windows contain which part."""

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
    """Computes the average precision of each item's window classifiers, over all windows and people together.

    Args:
        items: names of the items (parts, joints), one per map.
        name: name of the mean in the result; single items have the names `<name>_<item>`.
        title: title of the mean, for readers.
        section: the dashboard's section that shows the numbers.
    """

    scores: list[Tensor]
    truth: list[Tensor]

    def __init__(self, items: Sequence[str], name: str, title: str, section: str) -> None:
        super().__init__()
        self.items, self.name, self.title, self.section = list(items), name, title, section
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def add(self, maps: Float[Tensor, "batch item window"], truth: Float[Tensor, "batch item window"]) -> None:
        """Add a batch of predicted and true maps.

        Args:
            maps: the probability that the window contains the item (a part or joint).
            truth: 1 if it does, 0 if not; a window with NaN does not count for that item.
        """
        self.scores.append(maps.transpose(1, 2).flatten(0, 1))
        self.truth.append(truth.transpose(1, 2).flatten(0, 1))

    def infos(self) -> dict[str, MetricInfo]:
        """Return the descriptions of the mean over the items and of each item's average precision."""
        told = SHARE | {"section": self.section}
        single = {
            f"{self.name}_{item}": MetricInfo(title=f"{self.title} {item.replace('_', ' ')}", shown=False, **told)
            for item in self.items
        }
        return {self.name: MetricInfo(title=self.title, **told)} | single

    def compute(self) -> dict[str, Tensor]:
        """Return the average precision of each item, as `<name>_<item>`, and their mean, as `<name>`.

        An item that is in no window has NaN, and does not count in the mean.
        """
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
    """Average precision of each part's window classifiers.

    Args:
        skeleton: the skeleton that names the parts.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(list(skeleton.parts), "window_ap", "window AP", "Part detectors")

    def update(
        self, part_maps: Float[Tensor, "batch part window"], part_truth: Float[Tensor, "batch part window"]
    ) -> None:
        """Add a batch; windows in which a part's ground truth is NaN are left out for that part."""
        self.add(part_maps, part_truth)
