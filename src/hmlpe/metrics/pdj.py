"""PDJ by MODEC's rule: the share of joints predicted within t % of the torso's length, t = 1 ... 20 (FACTS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from hmlpe.metrics.person import GroupMetric
from hmlpe.runs.metric import SHARE, MetricInfo, Reduction
from hmlpe.skeleton import Skeleton

THRESHOLDS = tuple(t / 100 for t in range(1, 21))
SHOWN = 0.2  # the threshold that tables show


class ModecPDJ(GroupMetric):
    """Percentage-of-detected-joints curve: a joint counts if error / |left shoulder - right hip| <= threshold.

    Distances are in image pixels. The torso length is an input (`data.pack.Labels.torso_px`): under sides=image
    MODEC's left shoulder of a person seen from behind is the person's own right shoulder, while the hip stays the
    person's own right hip, as MODEC never swaps the hips.

    Left and right joints of a group are pooled. People without a torso length, and joints without coordinates, are left
    out.

    Args:
        skeleton: the skeleton of the predictions.
        groups: name in the result -> joints, e.g. wrist -> left_wrist, right_wrist.
    """

    protocol = "pdj_modec"

    def __init__(self, skeleton: Skeleton, groups: Mapping[str, Sequence[str]]) -> None:
        super().__init__(self.protocol, skeleton.joints, groups)

    def update(
        self,
        predicted_px: Float[Tensor, "batch joint 2"],
        truth_px: Float[Tensor, "batch joint 2"],
        torso_px: Float[Tensor, " batch"],
    ) -> None:
        """Add a batch; a joint that is not predicted (NaN) is wrong."""
        error = (predicted_px - truth_px).norm(dim=-1) / torso_px[:, None]
        self.add(error, (truth_px.sum(-1) + torso_px[:, None]).isfinite())

    def infos(self) -> dict[str, MetricInfo]:
        """Return the descriptions of the metric's numbers.

        They are `pdj_modec_<group>@<threshold>`, and `pdj_modec_<group>_auc`, the mean over the thresholds.
        """
        found = {}
        for name, items in self.groups.items():
            words, curve = name.replace("_", " "), f"{self.protocol}_{name}"
            told = SHARE | {"kind": "protocol", "section": "PDJ"}
            own: dict[str, Any] = {"errors": self.array, "items": items}
            found[f"{curve}_auc"] = MetricInfo(
                title=f"PDJ {words}, mean of the curve",
                label=words,
                shown=False,
                reduction=Reduction(within=THRESHOLDS, **own),
                **told,
            )
            for threshold in THRESHOLDS:
                found[f"{curve}@{threshold:.2f}"] = MetricInfo(
                    title=f"PDJ {words} @{threshold:.2f}",
                    heading=f"PDJ@{threshold:g} {words}",
                    shown=threshold == SHOWN,
                    panel=f"PDJ@{threshold:g}",
                    label=words,
                    curve=(curve, threshold),
                    reduction=Reduction(within=(threshold,), **own),
                    **told,
                )
        return found
