"""A protocol of one's own: joints within a share of the person's own extent."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from hmlpe.evaluate.bootstrap import Bootstrap
from hmlpe.evaluate.people import Estimates, Truth
from hmlpe.evaluate.protocols import Measured, Protocol, share_info
from hmlpe.runs.metric import Reduction


class PckExtent(Protocol):
    """Share of all joints within `at` times the longer side of the box around the person's known joints.

    Args:
        at: the share of that side.
    """

    name = "pck_extent"

    def __init__(self, at: float) -> None:
        self.at = at

    def why_not(self, truth: Truth, estimates: Estimates) -> str:
        """It needs joints."""
        return "the predictions give sticks, not joints" if estimates.joints_px is None else ""

    def scores(
        self, truth: Truth, estimates: Estimates, counted: Bool[np.ndarray, " person"], bootstrap: Bootstrap
    ) -> Measured:
        """`pck_extent@<at>`."""
        assert estimates.joints_px is not None
        true, found = truth.joints_px[counted], estimates.joints_px[counted]
        known = np.isfinite(true).all(-1)
        side = (np.nanmax(true, axis=1) - np.nanmin(true, axis=1)).max(-1)
        errors = np.linalg.norm(found - true, axis=-1) / side[:, None]
        errors = np.where(known, np.where(np.isnan(errors), np.inf, errors), np.nan)
        draws = bootstrap.draw(truth.shots_of(counted))
        number = Reduction(errors=self.name, within=(self.at,))(errors, draws.counts)
        key = f"{self.name}@{self.at:.2f}"
        return Measured({key: draws.score(number)}, {}, {key: share_info(self.name, f"all joints @{self.at:.2f}")})
