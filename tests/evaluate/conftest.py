"""Hand-made truths, and what methods say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hmlpe.evaluate.people import STICKS, Truth
from hmlpe.skeleton import Skeleton

CONF = Path(__file__).parents[2] / "conf"


def upper_body() -> Skeleton:
    """The configured one."""
    config = yaml.safe_load((CONF / "skeleton" / "upper_body.yaml").read_text(encoding="utf-8"))
    return Skeleton(config["joints"], config["parts"], config["mirror"])


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    """The configured one."""
    return upper_body()


def truth_like(people: int, sticks: bool = False, **changes: Any) -> Truth:
    """Random people whose torso is 100 px long; with `sticks` of a set that annotates six sticks."""
    rng = np.random.default_rng(people)
    skeleton = upper_body()
    joints = rng.uniform(0, 300, (people, 8, 2))
    values: dict[str, Any] = {
        "data": "made",
        "skeleton": skeleton,
        "images": tuple(f"{row}.png" for row in range(people)),
        "locations": tuple(f"made.txt, record {row}" for row in range(people)),
        "shots": tuple(f"made/{row}.png" for row in range(people)),
        "joints_px": joints,
        "torso_px": np.full(people, 100.0),
        "window_px": np.stack([np.array([row * 100.0, 0, row * 100.0 + 50, 60]) for row in range(people)]),
        "sticks": STICKS if sticks else tuple(skeleton.parts),
        "sticks_px": rng.uniform(0, 300, (people, 6, 2, 2)) if sticks else joints[:, skeleton.part_ends],
        "free_ends": sticks,
    }
    return Truth(**{**values, **changes})
