"""ONNX files, by way of TensorFlow's graph and tf2onnx."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from export import keras_private
from export.errors import ConversionError, layer_of
from export.formats import metadata, signatures
from export.inference import simplification
from export.quiet import quiet
from export.reading.loading import Generator

_REQUIRED = ("tf2onnx", "onnx", "onnxruntime")
# Below it, a tensor's header takes more than its halving saves.
_LEAST_HALVED = 64


def check_available() -> None:
    """Raises `ImportError` if a package that ONNX takes is not installed."""
    missing = []
    for name in _REQUIRED:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise ImportError(
            f"The format onnx takes {', '.join(missing)}, which is not installed: "
            "`pip install -r requirements/onnx.txt`."
        )


def write(
    generator: Generator, folder: pathlib.Path, precisions: Sequence[str] = ("float32",)
) -> Iterator[tuple[str, pathlib.Path]]:
    """Writes ONNX files: `latents` (and `labels`), any number, to `images`.

    `generator.onnx` has float32 weights. `generator-float16.onnx` has half the size:
    its weights are float16, and widened when a runtime loads the file, so that inputs,
    outputs and arithmetic are float32 as in a `.tflite` file of that precision.

    Args:
        generator: the generator.
        folder: where to write them.
        precisions: `float16` among them adds that file. Defaults to none but float32.

    Yields:
        Each file's precision and path, when it is written.

    Raises:
        ConversionError: if the model has an op that tf2onnx does not know.
    """
    import onnx

    model = simplification.simplify(generator.model, portable=True)
    converted = _converted(dataclasses.replace(generator, model=model))
    described = metadata.describe(generator)
    for precision in ("float32", "float16"):
        if precision == "float16":
            if precision not in precisions:
                continue
            _halve(converted.graph, generator)
        del converted.metadata_props[:]
        onnx.helper.set_model_props(converted, {metadata.ENTRY: json.dumps(described)})
        onnx.checker.check_model(converted)
        name = "generator.onnx" if precision == "float32" else "generator-float16.onnx"
        onnx.save(converted, str(folder / name))
        yield precision, folder / name


def _converted(generator: Generator) -> Any:
    try:
        with quiet():
            import tf2onnx

            keras_private.patch_tf2onnx()
            function: Any = signatures.generate(generator)
            converted, _ = tf2onnx.convert.from_function(
                function,
                function.input_signature,
                custom_op_handlers={"Erfc": (_erfc, [])},
            )
    except Exception as error:  # tf2onnx raises whatever its parts raise
        raise ConversionError(_message(generator, str(error))) from error
    _check_operators(converted.graph, generator)
    _name_tensors(converted.graph, generator)
    converted.doc_string = "Generator exported by sn-keras"
    return converted


def _message(generator: Generator, reason: str) -> str:
    layer = next(
        (
            found
            for word in reason.split()
            if (found := layer_of(word, generator.names))
        ),
        None,
    )
    of = f" (layer {layer!r})" if layer else ""
    return (
        f"{generator.source} can't be written as ONNX{of}: "
        f"{' '.join(reason.split()) or 'no reason given'}. The other formats may have "
        "what ONNX lacks: `--format saved_model litert`."
    )


def _check_operators(graph: Any, generator: Generator) -> None:
    """Refuses operators of TensorFlow, which tf2onnx leaves where ONNX has none."""
    import onnx

    unknown = [
        node
        for node in graph.node
        if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type)
    ]
    if unknown:
        reasons = [
            f"ONNX has no operator for {node.op_type} of layer "
            f"{(layer_of(node.name, generator.names) or node.name)!r}"
            for node in unknown
        ]
        raise ConversionError(_message(generator, "; ".join(dict.fromkeys(reasons))))


def _name_tensors(graph: Any, generator: Generator) -> None:
    """Gives inputs, output and the batch our names: theirs are tf2onnx's own."""
    names = {graph.output[0].name: "images"}
    for value in graph.input:
        rank = len(value.type.tensor_type.shape.dim)
        names[value.name] = "latents" if rank == 2 else "labels"
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    sizes = graph.output[0].type.tensor_type.shape.dim[1:]
    for dimension, size in zip(sizes, generator.image_shape, strict=True):
        dimension.dim_value = size
    # Of tensors in between: their open sizes have names by number.
    del graph.value_info[:]


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """Writes `erfc(x)`, which ONNX lacks and an exact GELU takes, as `1 − erf(x)`."""
    from tf2onnx import utils

    shapes = [graph.get_shape(node.output[0])]
    dtypes = [graph.get_dtype(node.output[0])]
    graph.remove_node(name)
    erf = graph.make_node("Erf", node.input, dtypes=dtypes, shapes=shapes)
    one = graph.make_const(
        utils.make_name("one"), np.array(1, utils.map_onnx_to_numpy_type(dtypes[0]))
    )
    graph.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=node.output,
        name=name,
        dtypes=dtypes,
        shapes=shapes,
    )


def _halve(graph: Any, generator: Generator) -> None:
    """Turns float32 weights into float16 ones that are widened when they are used."""
    import onnx

    for weight in list(graph.initializer):
        value = onnx.numpy_helper.to_array(weight)
        if value.dtype != np.float32 or value.size < _LEAST_HALVED:
            continue
        if np.abs(value).max() > np.finfo(np.float16).max:
            raise ConversionError(
                f"{generator.source} can't be written as ONNX in float16: a weight of "
                f"{weight.name} is {np.abs(value).max():.3g}, beyond float16's 65504."
            )
        name = weight.name
        half = onnx.numpy_helper.from_array(value.astype(np.float16), f"{name}_half")
        weight.CopyFrom(half)
        cast = onnx.helper.make_node(
            "Cast", [half.name], [name], f"{name}_widened", to=onnx.TensorProto.FLOAT
        )
        graph.node.insert(0, cast)
