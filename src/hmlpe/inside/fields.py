"""Receptive fields: which window of the input a unit of a feature map sees (FACTS 8).

They are derived from the operations of one forward pass, so that they are right for any network of convolutions and
poolings, however its code is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from hmlpe.errors import UserError

Pair = tuple[int, int]  # (down, across)
_CONV = ("convolution", "_convolution", "conv2d")
_POOL = ("max_pool2d_with_indices", "max_pool2d", "avg_pool2d")
_SAME = ("clone", "_to_copy", "detach", "alias", "contiguous", "native_dropout", "_prelu_kernel", "hardswish")
_LOCAL = (nn.LocalResponseNorm,)  # modules that mix maps at one place only, though not each of their operations does


class ReceptiveField(NamedTuple):
    """The receptive field of a layer's units.

    Along each axis, unit i sees the input's pixels start + stride i ... start + stride i + extent - 1.

    Attributes:
        extent: height and width of the window, in pixels of the input.
        stride: distance between the windows of neighbouring units, in pixels of the input.
        start: first pixel of unit 0's window; negative with padding.
    """

    extent: Pair
    stride: Pair
    start: Pair

    def through_layer(self, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> ReceptiveField:
        """Return the receptive field of a layer that follows this one, with this kernel, stride, padding and dilation.

        It is the usual recursion, applied from the input forward: jump <- jump * s, extent <- extent + (k - 1) * jump.
        """
        axes = range(2)
        return ReceptiveField(
            _to_pair(self.extent[a] + dilation[a] * (kernel[a] - 1) * self.stride[a] for a in axes),
            _to_pair(self.stride[a] * stride[a] for a in axes),
            _to_pair(self.start[a] - padding[a] * self.stride[a] for a in axes),
        )

    def corners(self, units: Int[Tensor, "*batch 2"]) -> Int[Tensor, "*batch 2"]:
        """Return the first pixel of the receptive fields of units.

        Args:
            units: (..., 2) row and column of each unit in the feature map.

        Returns:
            (..., 2) row and column of the pixel in the input.
        """
        return units * units.new_tensor(self.stride) + units.new_tensor(self.start)

    def centres(self, units: Int[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Return the centres of the receptive fields of units.

        Args:
            units: (..., 2) row and column of each unit in the feature map.

        Returns:
            (..., 2) x and y in the input, whose pixel centres are at integer coordinates.
        """
        return (self.corners(units) + (torch.tensor(self.extent) - 1) / 2).flip(-1)


class _NoField(NamedTuple):
    """States why a layer has no receptive field of one size."""

    why: str


def receptive_fields(network: nn.Module, image: Tensor, layers: Sequence[str]) -> dict[str, ReceptiveField]:
    """Return the receptive fields of the named layers' outputs.

    Args:
        network: the network, which is called once with `image`, in evaluation mode.
        image: (1, channel, height, width), of the size and type that the network takes.
        layers: names of the network's modules, as in `named_modules`.

    Raises:
        UserError: there is no such layer, or its units have no receptive field of one size, because branches with
            different fields are joined, or because an operation does not act locally.
    """
    modules = dict(network.named_modules())
    for layer in layers:
        check_layer(network, layer)
    trace, found = _Trace(), dict[str, ReceptiveField | _NoField]()
    with _record_fields(modules, trace, found, layers), evaluation_mode(network), torch.no_grad(), trace:
        trace.seen[image] = ReceptiveField((1, 1), (1, 1), (0, 0))
        network(image)
    for layer in layers:
        if layer not in found:
            raise UserError(f"layers: {layer} is not run on an image, or outputs no map")
        field = found[layer]
        if isinstance(field, _NoField):
            raise UserError(f"layers: {layer}: its units have no fixed window size, as {field.why}")
    return {layer: field for layer in layers if isinstance(field := found[layer], ReceptiveField)}


def check_layer(network: nn.Module, layer: str) -> None:
    """Raise UserError, which lists the network's layers, unless the network has a layer of this name."""
    if layer and layer in dict(network.named_modules()):
        return
    there = [name for name, module in network.named_modules() if name and not list(module.children())]
    raise UserError(f"layers: there is no {layer!r}; there are {', '.join(there)}")


class _Trace(TorchDispatchMode):
    """Computes the receptive field of every tensor of a forward pass, operation by operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Any = WeakTensorKeyDictionary()
        self.inside: list[str] = []  # names of the modules that are running, the innermost last

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and store the receptive field of its outputs."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        fields = [self.seen[one] for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor) and one in self.seen]
        if fields:
            field = self._output_field(func, args, kwargs, fields)
            for one in tree_leaves(found):
                if isinstance(one, Tensor):
                    self.seen[one] = field
        return found

    def _output_field(
        self, func: Any, args: Any, kwargs: Any, input_fields: list[ReceptiveField | _NoField]
    ) -> ReceptiveField | _NoField:
        """Return the receptive field of an operation's output, given those of its inputs."""
        name, where = func.overloadpacket.__name__, self.inside[-1] if self.inside else "the network"
        for one in input_fields:
            if isinstance(one, _NoField):
                return one
        if any(one != input_fields[0] for one in input_fields):
            return _NoField(f"{where} joins branches whose windows differ")
        (field, *_) = input_fields
        assert isinstance(field, ReceptiveField)
        given = {one.name: one.default_value for one in func._schema.arguments if one.has_default_value()}
        given |= dict(zip((one.name for one in func._schema.arguments), args, strict=False)) | kwargs
        if name in _CONV and not given.get("transposed") and len(given["stride"]) == 2:
            kernel = given["weight"].shape[-2:]
            return field.through_layer(
                _as_pair(kernel), _as_pair(given["stride"]), _as_pair(given["padding"]), _as_pair(given["dilation"])
            )
        if name in _POOL:
            kernel = _as_pair(given["kernel_size"])
            return field.through_layer(
                kernel,
                _as_pair(given["stride"], kernel),
                _as_pair(given["padding"]),
                _as_pair(given.get("dilation", 1)),
            )
        if name == "constant_pad_nd":  # pad: (left, right, top, bottom)
            pad = [int(one) for one in given["pad"]]
            first = (pad[2] if len(pad) > 2 else 0, pad[0])
            return field._replace(start=_to_pair(field.start[a] - first[a] * field.stride[a] for a in range(2)))
        if "batch_norm" in name and given.get("training"):
            return _NoField(f"{where} normalises over the batch and the whole map")
        joins = name == "cat" and given.get("dim") == 1
        if torch.Tag.pointwise in func.tags or name.rstrip("_") in _SAME or "batch_norm" in name or joins:
            return field
        return _NoField(f"{where} calls {name}, which is neither convolution, pooling nor pointwise")


@contextmanager
def _record_fields(
    modules: Mapping[str, nn.Module],
    trace: _Trace,
    fields_by_layer: dict[str, ReceptiveField | _NoField],
    layers: Sequence[str],
) -> Iterator[None]:
    """Track the running module in `trace`, and record each named layer's receptive field in `fields_by_layer`.

    This is done by forward hooks, which are removed at the end of the `with` block.
    """

    def enter_module(module: nn.Module, args: Any, name: str) -> None:
        trace.inside.append(name or type(module).__name__)

    def leave_module(module: nn.Module, args: Any, output: Any, name: str) -> None:
        trace.inside.pop()
        if isinstance(module, _LOCAL) and args and args[0] in trace.seen:
            trace.seen[output] = trace.seen[args[0]]
        if name in layers and name not in fields_by_layer and isinstance(output, Tensor) and output in trace.seen:
            field = trace.seen[output]
            fields_by_layer[name] = field if output.ndim == 4 else _NoField("it outputs no map")

    handles = []
    for name, module in modules.items():
        handles.append(module.register_forward_pre_hook(lambda m, a, name=name: enter_module(m, a, name)))
        handles.append(module.register_forward_hook(lambda m, a, o, name=name: leave_module(m, a, o, name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put the network in evaluation mode inside the `with` block; afterwards restore the mode of each module."""
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, was in training.items():
            module.training = was


def _as_pair(value: Any, if_empty: Pair = (0, 0)) -> Pair:
    """Return a number, or a list of one or two numbers, as a pair.

    An empty list gives `if_empty`: PyTorch stores a pooling's stride as [] if it equals the kernel size.
    """
    values = [value] if isinstance(value, int) else list(value)
    return (int(values[0]), int(values[-1])) if values else if_empty


def _to_pair(values: Iterator[int]) -> Pair:
    """Return two values, for the axes down and across, as a tuple."""
    down, across = values
    return down, across
