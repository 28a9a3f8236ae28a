"""What a checkpoint becomes, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hmlpe.errors import UserError
from hmlpe.predict.open import open_estimator
from hmlpe.predict.trained import CheckpointEstimator, load_trained
from hmlpe.tasks import JointRegression, PartDetection
from hmlpe.training.checkpoint import KEY
from hmlpe.training.weights import load_model

CROPS = np.random.default_rng(2).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def test_the_estimator_gives_what_the_network_and_its_tasks_give(checkpoint: Path) -> None:
    from hydra.utils import instantiate

    content = torch.load(checkpoint, weights_only=True)
    config = content[KEY]["config"]
    net = instantiate(config["network"], outputs={"regression": 16, "detection": 448})
    net.load_state_dict({key.removeprefix("network."): value for key, value in content["state_dict"].items()})
    with torch.inference_mode():
        raw = net.eval()(torch.from_numpy(CROPS).permute(0, 3, 1, 2))
    regression, detection = (instantiate(config["tasks"][name]) for name in ("regression", "detection"))
    assert isinstance(regression, JointRegression) and isinstance(detection, PartDetection)

    estimate = CheckpointEstimator(checkpoint)
    poses = estimate(CROPS)
    joints = regression.decode(raw["regression"])["predicted_crop_px"]
    np.testing.assert_allclose(poses.joints_px, joints, atol=1e-5 * 112)
    np.testing.assert_allclose(poses.part_maps, detection.decode(raw["detection"])["part_maps"], atol=1e-6)
    assert poses.joints_px.std(axis=0).max() > 0.5, "the crops must make a difference, or nothing is compared"
    assert poses.confidence.shape == (5, 8) and np.ptp(poses.confidence) > 0.01

    card = estimate.card
    assert card.name == "single/det_0.1_s1" and card.size_px == 112 and card.tasks == ("regression", "detection")
    assert card.windows == {"count": 8, "stride_px": 12, "extent_px": 29, "beta": 0.3}
    assert card.made_by == {"code": "c", "data": "d"} and card.skeleton.joints[0] == "head"


def test_one_crop_is_estimated_as_among_others(checkpoint: Path) -> None:
    estimate = CheckpointEstimator(checkpoint, threads=1)
    together = estimate(CROPS)
    for row in range(len(CROPS)):
        alone = estimate(CROPS[row : row + 1])
        np.testing.assert_allclose(alone.joints_px[0], together.joints_px[row], atol=1e-5 * 112)
        np.testing.assert_allclose(alone.confidence[0], together.confidence[row], atol=1e-5)


def test_a_net_of_detectors_alone_gives_no_poses(make_checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"made.ckpt: was trained for detection alone and gives no joints; train"):
        load_trained(make_checkpoint("row=detection_only"))


def test_a_net_of_several_sets_has_the_mean_of_their_factors(make_checkpoint: Callable[..., Path]) -> None:
    """Of those that it trained on and that have some: LSP has none, ETHZ did not train."""
    sets = ["data=all", "data.train_sets=[flic,buffy,lsp]", "data.known.buffy.boxes.factors=[1, 0, 2]"]
    card = load_trained(make_checkpoint(*sets, "data.known.flic.boxes.window_factors=[3, 1, 5]")).card
    assert card.factors == (2, 0.5, 3.5)


@pytest.mark.parametrize("fires", [None, 0.25])
def test_fires_reaches_the_network(checkpoint: Path, fires: float | None) -> None:
    estimate = open_estimator(checkpoint, fires=fires)
    assert isinstance(estimate, CheckpointEstimator) and estimate.model.fires == fires
    expected = CheckpointEstimator(checkpoint, fires=fires)(CROPS)
    np.testing.assert_array_equal(estimate(CROPS).confidence, expected.confidence)


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_pickle_does_not_run(tmp_path: Path, checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "trap": Trap(tmp_path / "sprung")}, tmp_path / "trap.ckpt")
    with pytest.raises(UserError, match=r"trap.ckpt: not a checkpoint"):
        load_trained(tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()
    torch.load(tmp_path / "trap.ckpt", weights_only=False)
    assert (tmp_path / "sprung").is_dir(), "the trap does not work, so nothing was tested"


@pytest.mark.parametrize(
    "target",
    ["os.mkdir", "hmlpe.cli.app.os.mkdir", "hmlpe.files.write_text_atomic", "hmlpe.skeleton", "hmlpe.data.pack.Path"],
)
@pytest.mark.parametrize("where", ["network", "trunk", "task"])
def test_code_named_in_a_configuration_does_not_run(tmp_path: Path, checkpoint: Path, target: str, where: str) -> None:
    """`_target_` can name anything: weights_only does not see it."""
    content = torch.load(checkpoint, weights_only=True)
    trap = {"_target_": target, "_args_": [str(tmp_path / "sprung"), "text"]}
    config = content[KEY]["config"]
    if where == "network":
        config["network"] = trap
    elif where == "trunk":
        config["network"]["trunk"] = trap
    else:
        config["tasks"]["regression"]["skeleton"] = trap
    torch.save(content, tmp_path / "trap.ckpt")
    with pytest.raises(UserError, match=r"trap.ckpt: its configuration asks for"):
        load_trained(tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()


def interpolation(folder: Path) -> str:
    """What Hydra resolves to a call."""
    return f"${{oc.create:{{_target_: os.mkdir, path: {folder}}}}}"


TRAPS: dict[str, tuple[list[str], Callable[[Path], Any]]] = {  # where in the configuration, and what
    "an interpolation": (["network", "trunk", "extra"], interpolation),
    "one in a task": (["tasks", "regression", "extra"], lambda folder: [{"deeper": interpolation(folder)}]),
    "one in a weight": (["row", "weights", "detection"], interpolation),
    "a target in a weight": (["row", "weights", "detection"], lambda folder: of("os.mkdir", folder)),
    "one in a target": (["network", "trunk", "_target_"], lambda folder: "${oc.decode:os.mkdir}"),
    "a target's target": (["network", "trunk", "_target_"], lambda folder: of("os.mkdir", folder)),
    "an argument": (["network", "trunk", "_args_"], lambda folder: [of("os.mkdir", folder)]),
    "what a recipe imports": (["optim", "optimizer"], lambda folder: of("hmlpe.training.optim.torch.os.mkdir", folder)),
    "what torch imports": (["optim", "optimizer"], lambda folder: of("torch.optim.lr_scheduler.types.os", folder)),
    "what a start imports": (["optim", "init"], lambda folder: of("hmlpe.network.init.nn.init.math.sqrt", folder)),
    "a factory of torch's": (["optim", "groups"], lambda folder: of("torch.optim.swa_utils.AveragedModel", folder)),
    "what a trusted package imports": (["network", "trunk"], lambda folder: of("own_tasks.os.mkdir", folder)),
    "what it has from another": (["network", "trunk"], lambda folder: of("own_tasks.mkdir", folder)),
}


def of(target: str, folder: Path) -> dict[str, Any]:
    return {"_target_": target, "_args_": [str(folder)]}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("load", [load_trained, load_model])
def test_no_way_around_the_targets_runs_code(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[..., Any], trap: str
) -> None:
    (tmp_path / "own_tasks.py").write_text("import os\nfrom os import mkdir\n")
    monkeypatch.syspath_prepend(tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    (*path, last), what = TRAPS[trap]
    node = content[KEY]["config"]
    for key in path:
        node = node[key]
    node[last] = what(tmp_path / "sprung")
    torch.save(content, tmp_path / "trap.ckpt")
    if load is load_trained and [*path, last] in (["optim", last], ["row", "weights", last]):
        with suppress(UserError):  # it does not build them
            load(tmp_path / "trap.ckpt", trust=["own_tasks"])
    else:
        with pytest.raises(UserError, match=r"trap.ckpt: (its configuration (asks for|holds)|trust:) ") as caught:
            load(tmp_path / "trap.ckpt", trust=["own_tasks"])
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def test_a_task_of_another_package_needs_trust(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the package is run, nor imported, before it is trusted by name."""
    package, sprung = tmp_path / "my_tasks", tmp_path / "sprung"
    package.mkdir()
    (package / "__init__.py").write_text(f"import os; os.mkdir({str(sprung)!r}); from hmlpe.tasks import *")
    monkeypatch.syspath_prepend(tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    tasks, weights = content[KEY]["config"]["tasks"], content[KEY]["config"]["row"]["weights"]
    tasks["mine"] = tasks["regression"] | {"_target_": "my_tasks.JointRegression"}
    weights["mine"] = 1
    state = content["state_dict"]
    state |= {key.replace("regression", "mine"): value for key, value in state.items() if ".heads.regression" in key}
    torch.save(content, tmp_path / "mine.ckpt")
    with pytest.raises(
        UserError, match=r"mine.ckpt: .*'my_tasks.JointRegression', from another .*: trust=\[my_tasks\]"
    ):
        load_trained(tmp_path / "mine.ckpt")
    assert not sprung.exists()
    model = load_trained(tmp_path / "mine.ckpt", trust=["my_tasks"]).model
    assert sprung.exists(), "which is what trust means"
    crops = torch.zeros(2, 3, 112, 112, dtype=torch.uint8)
    assert (
        list(model(crops)) == list(model.output_names) == ["joints_px", "confidence", "part_maps", "predicted_crop_px"]
    )
    assert torch.equal(model(crops)["predicted_crop_px"], model(crops)["joints_px"])
    tasks["mine"]["_target_"] = "their_tasks.Task"
    torch.save(content, tmp_path / "mine.ckpt")
    with pytest.raises(UserError, match=r"trust: their_tasks: .* cannot be imported .*; install the package"):
        load_trained(tmp_path / "mine.ckpt", trust=["their_tasks"])


@pytest.mark.parametrize("content", [b"", b"a text\n", b"PK\x03\x04 cut", b"\x80\x04."])
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"broken.ckpt: not a checkpoint from hmlpe-train") as caught:
        load_trained(tmp_path / "broken.ckpt")
    assert "\n" not in str(caught.value)


def test_a_cut_checkpoint_is_one_line(tmp_path: Path, checkpoint: Path) -> None:
    whole = checkpoint.read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "cut.ckpt").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError, match=r"cut.ckpt: not a checkpoint"):
            load_trained(tmp_path / "cut.ckpt")


def damage(content: dict[str, Any], how: str) -> None:
    state, config = content["state_dict"], content[KEY]["config"]
    if how == "a weight is missing":
        del state["network.trunk.conv1.weight"]
    elif how == "a weight is of another shape":
        state["network.trunk.conv1.weight"] = torch.zeros(1, 3, 9, 9)
    elif how == "a weight is not finite":
        state["network.trunk.conv1.weight"][0, 0, 0, 0] = torch.nan
    elif how == "no weights":
        content["state_dict"] = None
    elif how == "no network":
        del config["network"]
    elif how == "other weights":
        config["row"]["weights"] = {}
    elif how == "a network without heads":
        config["network"] = config["network"]["trunk"]
    elif how == "no state":
        del content["state_dict"]
    elif how == "no recipe":
        del config["optim"]
    elif how == "a recipe of nothing":
        config["optim"]["optimizer"] = 3


FOR_BOTH = [
    "a weight is missing",
    "a weight is of another shape",
    "no weights",
    "no network",
    "a network without heads",
    "no state",
]


@pytest.mark.parametrize(
    ("load", "how"),
    [
        *((load, how) for load in (load_trained, load_model) for how in FOR_BOTH),
        (load_trained, "a weight is not finite"),
        (load_trained, "other weights"),
        (load_model, "no recipe"),
        (load_model, "a recipe of nothing"),
    ],
)
def test_a_checkpoint_that_does_not_fit_itself_is_one_line(
    tmp_path: Path, checkpoint: Path, load: Callable[[Path], Any], how: str
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    damage(content, how)
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(UserError, match=r"^\S*odd.ckpt: ") as caught:
        load(tmp_path / "odd.ckpt")
    assert "\n" not in str(caught.value)


def test_devices(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="device: must be one of cpu, cuda"):
        CheckpointEstimator(checkpoint, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device: there is no GPU"):
            CheckpointEstimator(checkpoint, device="cuda")
