"""Synchronic Activities Stickmen 1.0, SA (Eichner & Ferrari, Human Pose Co-Estimation and Applications, PAMI 2012).

357 frames of people who dance or do aerobics together, with 1128 annotated people; published by the Calvin group
(groups.inf.ed.ac.uk/calvin). No licence is known: for research use; cite the paper. Coordinates are assumed to be
MATLAB's, 1-based (grade I of docs/facts.md), and are converted to 0-based. The set has no split.
"""

from __future__ import annotations

from hmlpe.data.sources.stickset import StickSet


class ActivitiesSource(StickSet):
    """Reader of SA; `root` holds data/SynchronicActivities.txt and images/."""

    name = "sa"
    contents = "Synchronic Activities' data/SynchronicActivities.txt and images/"
    file = "data/SynchronicActivities.txt"
    header_counts = (2,)
