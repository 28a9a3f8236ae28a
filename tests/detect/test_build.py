"""From the configuration to the detector, and what is said of settings that are none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from hmlpe.cli.app import CONFIGS
from hmlpe.detect.build import build_detector, mistyped_settings
from hmlpe.detect.cascade import CascadeDetector
from hmlpe.detect.detector import Detections, WholeImage
from hmlpe.errors import UserError
from hmlpe.settings import to_plain_containers

FACTORS = (1.5, 0.25, 0.75)


def config(name: str, **settings: Any) -> dict[str, Any]:
    """A file of conf/detector, with settings by their dotted names, __ for the dots."""
    loaded = OmegaConf.load(CONFIGS / "detector" / f"{name}.yaml")
    for key, value in settings.items():
        OmegaConf.update(loaded, key.replace("__", "."), value, merge=False, force_add=True)
    found: dict[str, Any] = to_plain_containers(loaded)
    return found


def test_the_networks_factors_are_filled_in_where_they_are_open_and_only_there() -> None:
    open_one = config("whole")
    for one, wanted in (
        (open_one, FACTORS),
        (config("whole", factors=None), FACTORS),
        (config("whole", factors=[1, 2, 3]), (1, 2, 3)),
    ):
        detector = build_detector(one, FACTORS)
        assert isinstance(detector, WholeImage)
        assert (detector.across, detector.up, detector.down) == wanted
    assert open_one["factors"] == "???"  # the caller's is as it was
    with pytest.raises(UserError, match=r"^detector\.factors: is not given$"):
        build_detector(open_one)
    assert isinstance(build_detector(config("cascade"), FACTORS), CascadeDetector)  # has none


def test_a_setting_may_refer_to_others_of_the_program() -> None:
    loaded = OmegaConf.load(CONFIGS / "detector" / "whole.yaml")
    whole = OmegaConf.create({"rule": [3, 2, 1], "detector": loaded})
    whole.detector.factors = "${rule}"
    detector = build_detector(to_plain_containers(whole.detector), FACTORS)
    assert isinstance(detector, WholeImage) and detector.across == 3


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("given", {}, "detector.file: is not given"),
        ("given", {"file": None}, "detector.file: must be a text, got null"),
        (
            "given",
            {"file": "a.csv", "to_window": 3},
            "detector.to_window: must be a BoxMap or a mapping or null",
        ),
        ("given", {"file": "a.csv", "to_window": {"top": "a"}}, "detector.to_window.top: must be a number, got 'a'"),
        ("cascade", {"cascades": None}, "detector.cascades: must be a mapping, got null"),
        ("cascade", {"cascades__face": 3}, "detector.cascades.face: must be a Cascade or null, got 3"),
        ("cascade", {"cascades__face__file": None}, "detector.cascades.face.file: must be a text, got null"),
        ("cascade", {"cascades__face__mirror": 1}, "detector.cascades.face.mirror: must be true or false, got 1"),
        ("cascade", {"cascades__face__to_window__top": None}, "detector.cascades.face.to_window.top: must be a number"),
        ("cascade", {"cascades__face__file": "???"}, "detector.cascades.face.file: is not given"),
        (
            "cascade",
            {"cascades__face__extra": 1},
            "detector.cascades.face.extra: there is no such setting",
        ),
        ("cascade", {"overlap": True}, "detector.overlap: must be a number, got True"),
        ("cascade", {"overlap": 2}, "detector.overlap: must be at least 0 and below 1, got 2"),
        ("cascade", {"longest_px": 1.5}, "detector.longest_px: must be a whole number, got 1.5"),
        ("cascade", {"extra": 1}, "detector.extra: there is no such setting; there are cascades, longest"),
        ("cascade", {"_target_": "hmlpe.detect.none.None"}, "detector._target_: there is no 'hmlpe.detect.none.None'"),
        ("cascade", {"_target_": None}, "detector: is not given; for example detector=cascade"),
        ("whole", {"factors": 3}, "detector.factors: must be a list, got 3"),
        ("whole", {"factors": [1, "a", 1]}, "detector.factors[1]: must be a number, got 'a'"),
        ("whole", {"factors": [1, 2]}, "detector.factors: need (across, up, down)"),
        ("whole", {"_target_": "builtins.dict"}, "detector._target_: builtins.dict makes no person detector"),
    ],
)
def test_a_setting_of_no_use_is_one_line_that_names_it(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_detector(config(name, **settings), FACTORS)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_no_detector() -> None:
    with pytest.raises(UserError, match=r"^detector: is not given; for example detector=cascade$"):
        build_detector(None, FACTORS)


class Own:
    """A detector of the user's, whose annotations say less, or more, than a YAML file can."""

    def __init__(self, folder: Path, sizes: Sequence, anything: Any, plain=None) -> None:  # type: ignore[no-untyped-def, type-arg]
        self.folder = Path(folder)

    def __call__(self, image: np.ndarray, name: str) -> Detections:
        return Detections(np.zeros((0, 4)), np.zeros(0))


def test_other_annotations_are_left_to_the_constructor() -> None:
    values = {"_target_": f"{__name__}.Own", "folder": "a", "sizes": [1, "a"], "anything": None, "plain": 3}
    assert list(mistyped_settings("detector", values)) == []
    assert isinstance(build_detector(values), Own)
    with pytest.raises(UserError, match=r"^detector: Error in call to target .*NoneType[^\n]*$"):
        build_detector(values | {"folder": None})
    assert list(mistyped_settings("detector", values | {"sizes": 3})) == ["detector.sizes: must be a list, got 3"]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, hmlpe.detect.build\n"
        "print(sorted({'torch', 'lightning', 'scipy', 'matplotlib', 'albumentations'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
