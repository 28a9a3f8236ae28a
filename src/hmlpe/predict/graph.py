"""Export a network as a graph: by torch.export, and from the exported program to ONNX."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch.export import Dim, ExportedProgram

from hmlpe.predict.estimator import Poses
from hmlpe.predict.onnx_file import INPUT, KEY, metadata_json
from hmlpe.predict.trained import TrainedModel

if TYPE_CHECKING:
    import onnx


CHATTER = {  # loggers, and the lowest level at which their messages matter to a user
    "torch.onnx._internal.exporter._registration": logging.ERROR,  # warns that torchvision, not needed here, is absent
    "onnx_ir": logging.WARNING,  # logs its passes over the graph, node by node
    "onnxscript": logging.WARNING,  # likewise
}


def export_program(trained: TrainedModel) -> ExportedProgram:
    """Export the network with torch.export, for uint8 crops (batch, 3, size, size) of any batch size."""
    size = trained.card.size_px
    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)  # two crops: with one, the batch size would be fixed
    with silence_exporter():
        program = torch.export.export(trained.model, (example,), dynamic_shapes=({0: Dim("batch")},), strict=False)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it names folders of the machine that exports
    return program


def program_bytes(program: ExportedProgram, trained: TrainedModel) -> bytes:
    """Return the content of a `.pt2` file, with the model card in its extra file `hmlpe`."""
    file = io.BytesIO()
    with silence_exporter():
        torch.export.save(program, file, extra_files={KEY: metadata_json(trained.card, trained.model.fires)})
    return file.getvalue()


class ExportedProgramRunner:
    """A function from crops to poses that runs an exported program, from the content of its `.pt2` file."""

    def __init__(self, content: bytes) -> None:
        with silence_exporter():
            self.run: Any = torch.export.load(io.BytesIO(content)).module()

    @torch.inference_mode()
    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """Estimate the poses in RGB crops, whose side is the one that the network was exported with."""
        found = self.run(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
        return Poses.from_outputs({name: value.numpy() for name, value in found.items()})


def onnx_bytes(program: ExportedProgram, trained: TrainedModel) -> bytes:
    """Return the content of an `.onnx` file, which includes the weights and, as metadata, the model card."""
    with silence_exporter():
        made = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[INPUT],
            output_names=list(trained.model.output_names),
            external_data=False,
            verbose=False,
        )
    assert made is not None
    proto = made.model_proto
    _strip_exporter_notes(proto)
    proto.metadata_props.add(key=KEY, value=metadata_json(trained.card, trained.model.fires))
    content: bytes = proto.SerializeToString()
    return content


def _strip_exporter_notes(proto: onnx.ModelProto) -> None:
    """Name the first axis `batch`, and remove the exporter's notes on its source code and this machine's folders.

    The model is changed in place.
    """
    graph = proto.graph
    axis = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if axis in dim.dim_param:
                dim.dim_param = dim.dim_param.replace(axis, "batch")
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def silence_exporter() -> Iterator[None]:
    """Silence, in the `with` block, the exporter's messages that are meant for its own developers."""
    before = {name: logging.getLogger(name).level for name in CHATTER}
    for name, level in CHATTER.items():
        logging.getLogger(name).setLevel(level)
    try:
        with warnings.catch_warnings():
            # torch 2.13's exporter copies its pytree specs in a way that the same release warns is deprecated
            warnings.filterwarnings("ignore", r".isinstance\(treespec, LeafSpec\)", FutureWarning)
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
