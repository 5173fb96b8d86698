"""What is read of Keras beside its public names, in one place.

Each function says why there is no public way. Checked with Keras 3.12 to 3.15.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras

# An operation, what it was called with, and the symbolic tensors that it returned.
Call = tuple[Any, tuple[Any, ...], dict[str, Any], list[Any]]


def flatten_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and all layers inside it, outermost first, each once.

    `Model.layers` are the direct ones of a model, and a `Layer` has no such list.
    """
    found = layer._flatten_layers()
    # Keras marks the layers inside as seen, but not the one that it starts from.
    return list({id(one): one for one in found}.values())


def is_rematerialized(layer: keras.layers.Layer) -> bool:
    """Whether a layer was created in a `keras.RematScope`, of which it keeps the mode.

    Publicly a scope can be opened, and not asked for.
    """
    return getattr(layer, "_remat_mode", None) is not None


def call_signature(layer: keras.layers.Layer) -> inspect.Signature:
    """Returns the signature that Keras binds the arguments of a layer's calls to.

    It is that of `call`, but wrappers set it to that of the layer inside.
    """
    return layer._call_signature


def set_call_signature(
    wrapper: keras.layers.Layer, signature: inspect.Signature
) -> None:
    """Lets a wrapper's calls be bound to a signature.

    By that of a `call(*args, **kwargs)` Keras would take all keyword arguments for one
    nested argument, in which tensors (`value`) and others (`return_attention_scores`)
    may not be mixed.
    """
    wrapper._call_signature = signature
    wrapper._call_has_mask_arg = "mask" in signature.parameters


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers directly inside a layer, in the order of its weights."""
    return list(layer._layers)


def freeze_alone(layer: keras.layers.Layer, frozen: bool) -> None:
    """Freezes a layer or not, and leaves those inside it, and its weights, as they are.

    `Layer.trainable` goes down to all that is inside.
    """
    layer._trainable = not frozen


def trained_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the weights that are trained unless their layer is frozen.

    `Layer.trainable_weights` has none of a frozen layer.
    """
    owners = flatten_layers(layer)
    return [weight for owner in owners for weight in owner._trainable_variables]


def build_shapes(layer: keras.layers.Layer) -> dict[str, Any] | None:
    """Returns the shapes that `build` was called with, by its arguments' names.

    `get_build_config` returns the same, but classes override it.
    """
    return getattr(layer, "_build_shapes_dict", None)


def calls(model: keras.Model) -> Iterator[Call] | None:
    """Returns the calls that a Functional or Sequential model is made of, in order.

    None for a subclassed model, which has no graph. Publicly, a graph can be run on
    tensors only, and its config holds names in place of operations.
    """
    functional = model
    if type(model) is keras.Sequential:
        functional = getattr(model, "_functional", None)
    # `keras.Model(inputs, outputs)` makes one, and a subclass may override `call`.
    kind = type(functional)
    names = (kind.__module__, kind.__name__)
    if names != ("keras.src.models.functional", "Functional"):
        return None

    def in_order() -> Iterator[Call]:
        by_depth = functional._nodes_by_depth
        for depth in sorted(by_depth, reverse=True):
            for node in by_depth[depth]:
                if not node.is_input:
                    arguments = node.arguments
                    call = (arguments.args, arguments.kwargs, node.outputs)
                    yield (node.operation, *call)

    return in_order()


def graph_tensors(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Returns the inputs and the outputs of such a model's graph."""
    functional = model._functional if type(model) is keras.Sequential else model
    return list(functional.inputs), list(functional.outputs)


def in_order_of_inputs(model: keras.Model, given: Any) -> list[Any]:
    """Returns what such a model was called with, in the order of its graph's inputs.

    A model that was made of a list can be called with a dict, whose order is not that
    of the list; publicly, a model doesn't tell what it was made of.
    """
    functional = model._functional if type(model) is keras.Sequential else model
    if isinstance(given, dict) and not isinstance(functional._inputs_struct, dict):
        return [given[x.name] for x in functional.inputs]
    return keras.tree.flatten(given)


def operation_name(operation: Any) -> str | None:
    """Returns the class name of one of Keras' own operations, such as `Add`.

    `keras.ops` has the functions that make them, and not the classes.
    """
    kind = type(operation)
    modules = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.core")
    return kind.__name__ if kind.__module__ in modules else None


def replace_sublayer(
    parent: keras.layers.Layer, old: keras.layers.Layer, new: keras.layers.Layer
) -> None:
    """Puts a layer in another's place, in the attributes of a layer not built yet.

    Keras tracks what is assigned to an attribute, and goes on tracking what was there
    before.
    """

    def swapped(value: Any) -> Any:
        if value is old:
            return new
        if isinstance(value, tuple):
            return tuple(map(swapped, value))
        if isinstance(value, (list, dict)):
            for key in value if isinstance(value, dict) else range(len(value)):
                one = swapped(value[key])
                if one is not value[key]:
                    value[key] = one
        return value

    for name, value in list(vars(parent).items()):
        if name != "_layers" and isinstance(value, (type(old), tuple, list, dict)):
            after = swapped(value)
            if after is not value and after != value:
                setattr(parent, name, after)
    order = [new if layer is old else layer for layer in parent._layers]
    parent._layers[:] = {id(layer): layer for layer in order}.values()
