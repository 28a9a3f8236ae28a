"""The network: the original's shapes, dropout, initialisation and recipe, and what its forward pass runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from jaxtyping import TypeCheckError
from omegaconf import DictConfig
from torch import Tensor, nn

from hmlpe.errors import UserError
from hmlpe.network import Dropout, Head, HeterogeneousNet, Trunk
from hmlpe.network.layers import GlobalBatchNorm2d
from hmlpe.training.optim import parameter_groups

CONFIGS = Path(__file__).parents[2] / "conf"
SHAPES = [(3, 112, 112), (32, 104, 104), (32, 52, 52), (16, 48, 48), (16, 24, 24), (16, 20, 20), (16, 10, 10)]
VARIANTS = sorted({path.stem for path in (CONFIGS / "network").glob("*.yaml")} - {"faithful"})
STAGES = [{"maps": 4, "kernel": 5, "relu": True}, {"maps": 6, "kernel": 3, "relu": False}]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def build(config: DictConfig) -> HeterogeneousNet:
    outputs = {name: instantiate(task).outputs for name, task in config.tasks.items()}
    return instantiate(config.network, outputs=outputs)


def small_net(size_px: int = 24, scale: float = 1.0, scaling: str = "inverted") -> HeterogeneousNet:
    torch.manual_seed(5)
    head = partial(Head, hidden=[7, 5], keep=0.5, scaling=scaling)
    return HeterogeneousNet(Trunk(STAGES, [3, 2]), head, {"regression": 4, "detection": 6}, size_px, scale)


def images(count: int, size_px: int = 24) -> Tensor:
    rng = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 3, size_px, size_px), generator=rng, dtype=torch.uint8)


@pytest.fixture(scope="module")
def paper() -> DictConfig:
    return composed("optim=paper")


@pytest.fixture(scope="module")
def faithful(paper: DictConfig) -> HeterogeneousNet:
    """The original's net, initialised as the original's."""
    torch.manual_seed(0)
    net = build(paper)
    instantiate(paper.optim.init)(net)
    return net


def test_papers_recipe_is_on_the_papers_net(paper: DictConfig) -> None:
    assert paper.network_name == "faithful"
    assert paper.network == composed("network=faithful").network


def test_shape_table(faithful: HeterogeneousNet) -> None:
    """112 → 104 → 52 → 48 → 24 → 20 → 10 with 32, 16, 16 maps (FACTS 3)."""
    assert faithful.trunk.output_shapes(112) == SHAPES


def test_shapes_of_a_real_pass(faithful: HeterogeneousNet) -> None:
    seen: list[tuple[int, ...]] = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(tuple(output.shape[1:])))
        for layer in faithful.trunk
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d)
    ]
    with torch.no_grad():
        outputs = faithful(images(1, 112))
    for hook in hooks:
        hook.remove()
    assert seen == SHAPES[1:]
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        "regression": (1, 16),
        "detection": (1, 448),
    }


def test_docstring_tells_the_shapes() -> None:
    table = re.findall(r"(\w+) +(\d+) x (\d+)", HeterogeneousNet.__doc__ or "")
    assert [name for name, _, _ in table] == ["input", "conv1", "pool1", "conv2", "pool2", "conv3", "pool3"]
    assert [(int(maps), int(side), int(side)) for _, maps, side in table] == SHAPES


def test_layers_of_the_faithful_trunk(faithful: HeterogeneousNet) -> None:
    """No padding, maximum 3/2 rounding up, ReLU after the first two alone, no normalisation."""
    order = [type(layer) for layer in faithful.trunk]
    assert order == [nn.Conv2d, nn.MaxPool2d, nn.ReLU, nn.Conv2d, nn.MaxPool2d, nn.ReLU, nn.Conv2d, nn.MaxPool2d]
    convolutions = [layer for layer in faithful.trunk if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions] == [
        (3, 32, (9, 9)),
        (32, 16, (5, 5)),
        (16, 16, (5, 5)),
    ]
    assert all((c.stride, c.padding, c.groups) == ((1, 1), (0, 0), 1) for c in convolutions)
    pools = [layer for layer in faithful.trunk if isinstance(layer, nn.MaxPool2d)]
    assert all((p.kernel_size, p.stride, p.padding, p.ceil_mode) == (3, 2, 0, True) for p in pools)


def test_layers_of_the_faithful_heads(faithful: HeterogeneousNet) -> None:
    """1024 → 2048 → out for each, dropout after the first layer alone; keep 0.25, the original's scales."""
    assert list(faithful.heads) == ["regression", "detection"]
    for task, outputs in (("regression", 16), ("detection", 448)):
        head = faithful.head(task)
        assert [type(layer) for layer in head] == [nn.Linear, nn.ReLU, Dropout, nn.Linear, nn.ReLU, nn.Linear]
        sizes = [(layer.in_features, layer.out_features) for layer in head if isinstance(layer, nn.Linear)]
        assert sizes == [(1600, 1024), (1024, 2048), (2048, outputs)]
        assert (head.dropout.keep, head.dropout.scaling) == (0.25, "original")
        assert head.output_layer is head[-1]
    assert faithful.scale == 1.0


@pytest.mark.parametrize("network", ["slim", "normalised"])
def test_variants_keep_the_geometry_and_the_outputs(network: str) -> None:
    net = build(composed(f"network={network}", "network.head.hidden=[8,8]")).eval()
    assert [side for _, side, _ in net.trunk.output_shapes(112)] == [112, 104, 52, 48, 24, 20, 10]
    with torch.no_grad():
        outputs = net(images(2, 112))
    assert {name: output.shape[1] for name, output in outputs.items()} == {"regression": 16, "detection": 448}
    assert all(output.isfinite().all() for output in outputs.values())


@pytest.mark.parametrize(
    ("norm", "kind"), [("batch", GlobalBatchNorm2d), ("lrn", nn.LocalResponseNorm), ("none", None)]
)
def test_normalisation_follows_each_pooling(norm: str, kind: type[nn.Module] | None) -> None:
    trunk = Trunk(STAGES, [3, 2], norm)
    layers = list(trunk)
    after = [layers[i + 1] for i, layer in enumerate(layers[:-1]) if isinstance(layer, nn.MaxPool2d)]
    assert kind is None or ([type(layer) for layer in after] == [kind] * 2)
    assert trunk(torch.rand(2, 3, 24, 24)).shape[1:] == trunk.output_shapes(24)[-1]


@pytest.mark.parametrize("network", ["normalised", "slim"])
def test_variants_for_fast_learning_are_normalised(network: str) -> None:
    assert composed(f"network={network}").network.trunk.norm == "batch"


def test_unknown_normalisation_is_refused() -> None:
    with pytest.raises(UserError, match=r"norm: must be none, batch or lrn, got 'layer'"):
        Trunk(STAGES, [3, 2], "layer")


@pytest.mark.parametrize(
    ("scaling", "in_training", "in_evaluation"),
    [("original", lambda _keep: 1.0, lambda keep: keep), ("inverted", lambda keep: 1 / keep, lambda _keep: 1.0)],
)
@pytest.mark.parametrize("keep", [0.25, 0.5, 0.7, 1.0])
def test_dropout_scales(
    scaling: str, in_training: Callable[[float], float], in_evaluation: Callable[[float], float], keep: float
) -> None:
    """FACTS 3: 0.25 is the probability to KEEP; the original scales at test, torch in training."""
    torch.manual_seed(7)
    dropout, x = Dropout(keep, scaling), torch.linspace(1, 3, 100_000)
    dropout.train()
    y = dropout(x)
    kept = y != 0
    torch.testing.assert_close(y[kept], x[kept] * in_training(keep))
    sigma = (keep * (1 - keep) / len(x)) ** 0.5
    assert abs(kept.float().mean().item() - keep) <= 5 * sigma
    assert keep == 1 or not torch.equal(dropout(x) != 0, kept)  # drawn anew
    dropout.eval()
    torch.testing.assert_close(dropout(x), x * in_evaluation(keep))


@pytest.mark.parametrize("scaling", ["original", "inverted"])
def test_dropout_has_the_same_expectation_in_both_modes(scaling: str) -> None:
    torch.manual_seed(8)
    dropout, x = Dropout(0.25, scaling), torch.ones(200_000)
    assert dropout.train()(x).mean().item() == pytest.approx(dropout.eval()(x).mean().item(), rel=0.03)


@pytest.mark.parametrize(("keep", "scaling"), [(0.0, "original"), (-0.5, "inverted"), (1.5, "original"), (0.5, "none")])
def test_bad_dropout_is_refused(keep: float, scaling: str) -> None:
    with pytest.raises(UserError, match="dropout: keep must be in"):
        Dropout(keep, scaling)


@pytest.mark.parametrize(("scaling", "factor"), [("original", 0.5), ("inverted", 1.0)])
def test_head_by_hand(scaling: str, factor: float) -> None:
    torch.manual_seed(1)
    head, x = Head(inputs=9, outputs=3, hidden=[7, 5], keep=0.5, scaling=scaling).eval(), torch.randn(4, 9)
    hidden = head.fc2((head.fc1(x).clamp(min=0)) * factor).clamp(min=0)
    torch.testing.assert_close(head(x), head.fc3(hidden))


@pytest.mark.parametrize("tasks", [None, [], ["regression"], ["detection"], ["detection", "regression"]])
def test_heads_that_are_not_named_do_not_run(tasks: list[str] | None) -> None:
    net, ran = small_net().eval(), []
    for name, head in net.heads.items():
        head.register_forward_hook(lambda *_, name=name: ran.append(name))
    outputs = net(images(2), tasks)
    assert sorted(ran) == sorted(outputs) == sorted(["regression", "detection"] if tasks is None else tasks)


def test_a_head_sees_the_trunk_alone() -> None:
    """The other head may be broken, or trained, without a trace."""
    net = small_net().eval()
    before = net(images(2), ["regression"])["regression"]
    nn.init.constant_(net.head("detection").fc1.weight, torch.nan)
    assert torch.equal(net(images(2))["regression"], before)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_mean_image_is_taken_off_and_the_rest_scaled(scale: float) -> None:
    """In floating point: a pixel darker than the mean is negative, not 8-bit arithmetic."""
    net, image, seen = small_net(scale=scale).eval(), images(3), []
    net.mean_image.copy_(torch.rand(3, 24, 24) * 255)
    net.trunk.register_forward_pre_hook(lambda _trunk, inputs: seen.append(inputs[0]))
    outputs = net(image)
    (x,) = seen
    torch.testing.assert_close(x, (image.double() - net.mean_image.double()).mul(scale).float())
    assert x.min() < -50 * scale
    assert x.dtype == torch.float32
    features = net.trunk(x).reshape(3, -1)
    torch.testing.assert_close(outputs["regression"], net.head("regression")(features))


def test_mean_image_is_saved_and_not_trained() -> None:
    net = small_net()
    assert net.state_dict()["mean_image"].shape == (3, 24, 24)
    assert "mean_image" not in dict(net.named_parameters())


def test_input_is_not_changed() -> None:
    image = images(2)
    small_net()(image)
    assert torch.equal(image, images(2))


def test_memory_format_does_not_change_the_answer() -> None:
    """Nor the order in which the heads read the trunk's maps."""
    net, image = small_net().eval(), images(3)
    x = image.float().contiguous()
    expected = net.head("detection")(net.trunk(x).contiguous().flatten(1))
    torch.testing.assert_close(net(image)["detection"], expected, rtol=1e-4, atol=1e-4)
    net.to(memory_format=torch.channels_last)
    torch.testing.assert_close(net(image)["detection"], expected, rtol=1e-4, atol=1e-4)
    last = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(net(last)["detection"], expected, rtol=1e-4, atol=1e-4)


def test_wrong_image_raises() -> None:
    net = small_net()
    with pytest.raises(TypeCheckError, match="image"):
        net(images(2).float())
    with pytest.raises(TypeCheckError, match="image"):
        net(images(2)[:, :1])
    with pytest.raises(TypeCheckError, match="image"):
        net(images(2)[..., :20])
    with pytest.raises(RuntimeError, match="size"):
        net(images(2, 32))


def test_gaussian_init_has_the_papers_deviations(faithful: HeterogeneousNet) -> None:
    """FACTS 4, grade C: conv1 5e-5, conv2 and conv3 1e-3, fc 1e-3; biases 0."""
    layers = {n: m for n, m in faithful.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert len(layers) == 9
    for name, layer in layers.items():
        expected = 5e-5 if name == "trunk.conv1" else 1e-3
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(layer.weight.mean().item()) < 5 * expected / layer.weight.numel() ** 0.5, name
        assert (layer.weight.abs() > 2.5 * expected).any(), name  # Gaussian, not uniform
        assert layer.bias is not None
        assert not layer.bias.any(), name


def test_he_init_has_he_s_deviations() -> None:
    """Variance 2 / fan in; the last layers small; biases 0."""
    config = composed("network=slim", "optim=modern")
    torch.manual_seed(0)
    net = build(config)
    instantiate(config.optim.init)(net)
    layers = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert len(layers) == 9
    for name, layer in layers.items():
        fan_in = layer.weight[0].numel()
        expected = 0.01 if name.endswith("fc3") else (2 / fan_in) ** 0.5
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.06), name
        assert layer.bias is not None
        assert not layer.bias.any(), name


def test_papers_rates_and_decays(paper: DictConfig, faithful: HeterogeneousNet) -> None:
    """FACTS 4: 5e-4 for weights, 2e-3 for biases, decay 0.01 on fc alone, momentum 0.9; every parameter just once."""
    groups = instantiate(paper.optim.groups)(faithful)
    optimizer = instantiate(paper.optim.optimizer)(groups)
    assert isinstance(optimizer, torch.optim.SGD)
    settings: dict[int, list[tuple[float, float, float]]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            settings.setdefault(id(parameter), []).append((group["lr"], group["weight_decay"], group["momentum"]))
    named = dict(faithful.named_parameters())
    assert set(settings) == {id(parameter) for parameter in named.values()}
    for name, parameter in named.items():
        weight, conv = name.endswith("weight"), ".conv" in name
        expected = (5e-4 if weight else 2e-3, 0.01 if weight and not conv else 0.0, 0.9)
        assert settings[id(parameter)] == [expected], name
    assert instantiate(paper.optim.scheduler) is None


def grouped(net: nn.Module, **settings: float) -> dict[str, dict[str, Any]]:
    """Parameter name -> its group; the groups must share nothing."""
    defaults = {"lr": 1.0, "bias_lr": 2.0, "conv_decay": 3.0, "fc_decay": 4.0}
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    found: dict[str, dict[str, Any]] = {}
    for group in parameter_groups(net, **defaults | settings):
        assert group["params"]
        for parameter in group["params"]:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = group
    return found


def test_normalisation_does_not_decay() -> None:
    found = grouped(Trunk(STAGES, [3, 2], "batch"))
    layers = ("conv1", "norm1", "conv2", "norm2")
    assert set(found) == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    for name, group in found.items():
        decays = name in ("conv1.weight", "conv2.weight")
        assert (group["lr"], group["weight_decay"]) == ((1.0, 3.0) if decays else (2.0, 0.0)), name


def test_frozen_parameters_are_in_no_group() -> None:
    net = small_net()
    net.head("detection").requires_grad_(False)
    expected = {name for name, _ in net.named_parameters() if not name.startswith("heads.detection")}
    assert set(grouped(net)) == expected
    assert expected
