"""ONNX files, by way of Keras' own exporter (tf2onnx)."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import warnings

from export import simplification
from export.errors import ConversionError
from export.generators import Generator
from export.quiet import quiet

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
            "`pip install 'sn-keras[onnx]'`."
        )


def write(generator: Generator, path: pathlib.Path) -> None:
    """Writes an ONNX file with an open batch size and the output `images`.

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
    _name_output(path)


def _name_output(path: pathlib.Path) -> None:
    """Renames the output, which tf2onnx calls after a node of its graph."""
    import onnx

    model = onnx.load(str(path))
    graph = model.graph
    old = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = "images"
    graph.output[0].name = "images"
    if any(node.op_type and node.domain not in ("", "ai.onnx") for node in graph.node):
        foreign = sorted({node.op_type for node in graph.node if node.domain})
        raise ConversionError(f"ONNX has no operator for {foreign}.")
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
