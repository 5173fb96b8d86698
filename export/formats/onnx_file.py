"""ONNX files, by way of Keras' own exporter (tf2onnx)."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import warnings
from typing import Any

from export.errors import ConversionError
from export.inference import simplification
from export.layer_names import layer_of
from export.quiet import quiet
from export.reading.generator import Generator

_REQUIRED = ("tf2onnx", "onnx", "onnxruntime")


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


def write(generator: Generator, path: pathlib.Path) -> None:
    """Writes an ONNX file: `latents` (and `labels`), any number, to `images`.

    Args:
        generator: the generator.
        path: file to write.

    Raises:
        ConversionError: if the model has an op that tf2onnx does not know.
    """
    try:
        with quiet():
            model = simplification.simplify(generator.model)
            # Keras takes the input's signature from the first call.
            dataclasses.replace(generator, model=model)(**generator.draw(1, 0))
            model.export(str(path), format="onnx", verbose=False)
    except Exception as error:  # tf2onnx raises whatever its parts raise
        raise ConversionError(
            f"{generator.source} can't be written as ONNX: {error}"
        ) from error
    import onnx

    converted = onnx.load(str(path))
    _check_operators(converted.graph, generator)
    _name_tensors(converted.graph)
    onnx.checker.check_model(converted)
    onnx.save(converted, str(path))


def _check_operators(graph: Any, generator: Generator) -> None:
    """Refuses operators of TensorFlow, which tf2onnx leaves where ONNX has none."""
    import onnx

    unknown = [
        node
        for node in graph.node
        if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type)
    ]
    if not unknown:
        return
    reasons = [
        f"ONNX has no operator for {node.op_type} of layer "
        f"{(layer_of(node.name, generator.model) or node.name)!r}"
        for node in unknown
    ]
    raise ConversionError(
        f"{generator.source} can't be written as ONNX: "
        f"{'; '.join(dict.fromkeys(reasons))}."
    )


def _name_tensors(graph: Any) -> None:
    """Gives inputs and output our names: theirs are the model's and tf2onnx's own."""
    names = {graph.output[0].name: "images"}
    for value in graph.input:
        rank = len(value.type.tensor_type.shape.dim)
        names[value.name] = "latents" if rank == 2 else "labels"
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
