"""What the paired differences of two rows say, in words, by one rule."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST_SEEDS = 3  # with which a row may be called better or worse
RULE = (
    "Verdict: in how many seeds the row's difference has the sign of the mean difference; “no difference seen” "
    "where the 95 % interval (over seeds and people; with one seed over people) holds 0, and “no interval” where "
    "people's files are missing. With one seed nothing is known of other seeds, and two are too few to tell, so below "
    "three no row is called better or worse. Nothing is corrected for the number of comparisons."
)


def verdict(differences: Sequence[float], interval: tuple[float, float] | None) -> str:
    """The words.

    Args:
        differences: row minus base, of each paired seed.
        interval: of the mean difference: over seeds and people, or with one seed over people; None: not known.
    """
    count = len(differences)
    mean = sum(differences) / count
    if mean == 0:
        side, share = "equal in the mean", ""
    else:
        same = sum(each * mean > 0 for each in differences)
        side = "lower" if mean < 0 else "higher"
        share = f" in {_share(same, count)}"
    words = [side + share]
    if interval is None:
        words.append("no interval")
    elif interval[0] <= 0 <= interval[1]:
        words.append("the interval holds 0: no difference seen")
    elif share and same < count:
        words.append("the interval leaves 0 out: a difference in the mean")
    if count == 1:
        words.append("nothing is known of other seeds")
    elif count < FEWEST_SEEDS:
        words.append("too few seeds to tell")
    return "; ".join(words)


def _share(same: int, count: int) -> str:
    if count == 1:
        return "the one seed"
    if same < count:
        return f"{same} of {count} seeds"
    return "both seeds" if count == 2 else f"all {count} seeds"
