"""How well the windows are detected."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from hmlpe.runs.metric import SHARE, MetricInfo
from hmlpe.skeleton import Skeleton


class WindowAP(Metric):
    """Average precision of each part's detectors, over all windows and people together."""

    scores: list[Tensor]
    truth: list[Tensor]

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.parts = list(skeleton.parts)
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def update(
        self, part_maps: Float[Tensor, "batch part window"], part_truth: Float[Tensor, "batch part window"]
    ) -> None:
        """Add people; a part with NaN truth does not count."""
        self.scores.append(part_maps.transpose(1, 2).flatten(0, 1))
        self.truth.append(part_truth.transpose(1, 2).flatten(0, 1))

    def infos(self) -> dict[str, MetricInfo]:
        """`window_ap` and `window_ap_<part>`."""
        told = SHARE | {"section": "Part detectors"}
        parts = {
            f"window_ap_{part}": MetricInfo(title=f"window AP {part.replace('_', ' ')}", shown=False, **told)
            for part in self.parts
        }
        return {"window_ap": MetricInfo(title="window AP", **told)} | parts

    def compute(self) -> dict[str, Tensor]:
        """`window_ap_<part>`, and `window_ap`, the mean over the parts that occur."""
        scores, truth = dim_zero_cat(self.scores), dim_zero_cat(self.truth)
        found = {}
        for i, part in enumerate(self.parts):
            known = truth[:, i].isfinite()
            positives = bool(truth[known, i].any())
            ap = (
                binary_average_precision(scores[known, i], truth[known, i].long())
                if positives
                else torch.tensor(torch.nan)
            )
            found[f"window_ap_{part}"] = ap
        return {"window_ap": torch.stack(list(found.values())).nanmean(), **found}
