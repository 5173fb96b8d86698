"""Names that Keras keeps to itself, and that export can't do without.

Each was read off Keras 3.15.1. Nothing else in `export` uses a name of Keras that
begins with an underscore, so that a new version of Keras is checked here alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and all layers inside it, at any depth.

    Keras 3.15.1, `Layer._flatten_layers`: `Model.layers` has those of the first
    floor alone, and a layer of another kind has no such list.
    """
    return layer._flatten_layers()


def calls(operation: Any) -> list[Any]:
    """Returns the calls of a layer in all graphs: `input_tensors`, `arguments`.

    Keras 3.15.1, `Operation._inbound_nodes`: `Layer.input` fails for a layer that is
    called twice.
    """
    return operation._inbound_nodes


def producer(tensor: Any) -> Any:
    """Returns the layer or operation that a symbolic tensor is an output of.

    Keras 3.15.1, `KerasTensor._keras_history`: there is no public way back.
    """
    return tensor._keras_history.operation


def run_through(
    model: keras.Model, inputs: list[Any], call: Callable[..., Any]
) -> list[Any]:
    """Returns a model's outputs for other inputs and other layers.

    Keras 3.15.1, `Function._run_through_graph` and `Sequential._functional`:
    `clone_model` does the same and makes a model of it, but only of distinct names,
    with nested models left as they are.

    Args:
        model: a Functional or built Sequential model.
        inputs: a symbolic tensor for each of `model.inputs`.
        call: takes a layer, and its arguments on the way; returns its outputs.
    """
    graph = model._functional if isinstance(model, keras.Sequential) else model
    # Keras 3.12 has no default for the second.
    return graph._run_through_graph(inputs, lambda operation: operation, call)


def copied_operation(operation: Any, name: str) -> Any:
    """Returns a copy of an operation of `keras.ops` that no graph holds.

    Keras 3.15.1, `Operation._inbound_nodes` and `_outbound_nodes`: an operation has
    no configuration of its own to be made anew from, and `copy.copy` would save it.
    """
    new = object.__new__(type(operation))
    new.__dict__.update(operation.__dict__)
    new.name = name
    new._inbound_nodes, new._outbound_nodes = [], []
    return new


def patch_tf2onnx() -> None:
    """Makes tf2onnx 1.17 run with NumPy 2.

    Keras 3.15.1, `keras.src.export.tf2onnx_lib.patch_tf2onnx`: `Model.export` calls it
    for ONNX, but takes no function and no handler of operators.
    """
    from keras.src.export import tf2onnx_lib

    tf2onnx_lib.patch_tf2onnx()
