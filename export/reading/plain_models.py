"""The same function as one flat Keras model in float32, without wrappers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

import sn_keras
from export import keras_private
from export.reading.inputs import conform
from sn_keras.copying import finalize_states
from sn_keras.reparameterization import Reparameterization
from sn_keras.wrapping import unwrapping


class Kept(keras.layers.Layer):
    """Runs a layer that can't be made anew from its configuration.

    Args:
        layer: the layer, with its weights.
        name: the name that it has in the copy.
    """

    def __init__(self, layer: keras.layers.Layer, name: str):
        super().__init__(name=name)
        self.layer = layer
        self.built = True

    def call(self, *arguments: Any, **options: Any) -> Any:
        """Returns what the layer returns."""
        before = self.layer.name
        self.layer.name = self.name  # one that TensorFlow takes
        try:
            return self.layer(*arguments, **options)
        finally:
            self.layer.name = before


class _CantCopyError(Exception):
    """Raised with the layer whose copy has other weights."""


def plain(
    model: keras.Model, inputs: Sequence[Any] | None = None
) -> tuple[keras.Model, dict[str, str]]:
    """Returns a model that files can be made of; it shares no weight with `model`.

    - Wrappers of `sn_keras` are folded, also those inside of other layers.
    - The layers of nested models become layers of the model itself: what follows
      (`simplification`) looks at one graph.
    - It computes in float32, whatever policy it was trained with: a mixed policy
      speeds training up, it is no property of the weights.
    - Its layers' names are distinct, and such that TensorFlow takes them.

    A layer that its configuration doesn't make anew is taken over as it is.

    Args:
        model: a built Functional or Sequential model.
        inputs: new `keras.Input`s, one for each of `model.inputs`, whose shape and
            dtype may be another. Defaults to inputs like the model's.

    Returns:
        The model, and the layers' former names by the new ones.
    """
    if inputs is None:
        inputs = [
            keras.Input(batch_shape=x.shape, dtype=_plain_dtype(x), name=_valid(x.name))
            for x in model.inputs
        ]
    kept: set[int] = set()
    with _in_float32():
        while True:
            copies = _Copies(kept, [x.name for x in inputs])
            outputs = _run(model, list(inputs), copies)
            flat = keras.Model(list(inputs), outputs, name=_valid(model.name))
            try:
                copies.take_weights()
            except _CantCopyError as error:
                kept.add(id(error.args[0]))
                continue
            return flat, copies.names


def check_equal(
    model: keras.Model, copy: keras.Model, values: list[Any], inputs: list[Any]
) -> None:
    """Checks that a plain copy gives what the model gives, on some inputs.

    Files are compared with the copy, so an error in it would pass there.

    Args:
        model: the model.
        copy: what `plain` returned for it.
        values: for the model.
        inputs: the same for the copy.

    Raises:
        ValueError: if an output differs by more than rounding can explain.
    """
    bound = 1e-3 if compute_dtype(model) == "float32" else 0.1
    # So that a copy which draws random numbers has others than the model.
    copy(inputs, training=False)
    found = (model(values, training=False), copy(inputs, training=False))
    for expected, actual in zip(*map(keras.tree.flatten, found), strict=True):
        wanted = keras.ops.convert_to_numpy(keras.ops.cast(expected, "float32"))
        error = np.abs(keras.ops.convert_to_numpy(actual) - wanted).mean()
        if not error <= bound * max(np.abs(wanted).mean(), 1e-6):
            raise ValueError(
                f"{model.name!r} can't be exported: a copy of it in float32, without "
                f"wrappers and nested models, differs from it by {error:.1e} in the "
                "mean. Does a layer draw random numbers in inference, or keep a state "
                "that is no weight?"
            )


def compute_dtype(model: keras.Model) -> str:
    """Returns the dtype that a model computes in: a half one if any layer does."""
    used = {
        getattr(layer, "compute_dtype", "") for layer in keras_private.all_layers(model)
    }
    half = sorted(used & {"bfloat16", "float16"})
    return half[0] if half else "float32"


def copied(layer: Any, **changes: Any) -> Any:
    """Returns a new layer of the same class and configuration, without its weights.

    Args:
        layer: a layer. A `Kept`, a `Lambda`, whose function Keras can't rebuild, and
            an operation of `keras.ops` are returned if nothing is to change.
        changes: entries of its configuration to replace.
    """
    if not isinstance(layer, keras.layers.Layer):
        name = changes.get("name")
        return keras_private.copied_operation(layer, name) if name else layer
    if isinstance(layer, Kept):
        return layer
    if isinstance(layer, keras.layers.Lambda):
        if changes.get("name", layer.name) == layer.name:
            return layer
        return keras.layers.Lambda(
            layer.function, arguments=layer.arguments, name=changes["name"]
        )
    config = keras.saving.serialize_keras_object(layer)
    config["config"].update(changes)
    # The copy is built when it is called, perhaps on other shapes.
    config.pop("build_config", None)
    foreign = {
        type(one).__name__: type(one)
        for one in keras_private.all_layers(layer)
        if not type(one).__module__.startswith("keras.")
    }
    # A constructor that makes wrappers, as a self-attention's does, makes none.
    with unwrapping():
        # `safe_mode` guards against code in files: this layer is in memory already,
        # and was not loaded from a file if it holds any.
        return keras.saving.deserialize_keras_object(
            config, custom_objects=foreign, safe_mode=False
        )


class _Copies:
    """A copy of each layer, whatever number of times it is called.

    Args:
        kept: ids of layers to take over as they are.
        reserved: names that no copy may have.
    """

    def __init__(self, kept: set[int], reserved: Sequence[str]):
        self.names: dict[str, str] = {}
        self._kept = kept
        self._reserved = set(reserved)
        self._made: dict[int, tuple[Any, Any, Any]] = {}

    def of(self, layer: Any) -> Any:
        """Returns the copy of a layer or operation."""
        if id(layer) not in self._made:
            self._made[id(layer)] = (layer, *self._copy(layer, self.name(layer.name)))
        return self._made[id(layer)][2]

    def name(self, wanted: str) -> str:
        """Returns a name that no copy has, as near to another one as can be."""
        first = name = _valid(wanted)
        number = 1
        while name in self.names or name in self._reserved:
            name = f"{first}_{number}"
            number += 1
        self.names[name] = wanted
        return name

    def take_weights(self) -> None:
        """Gives the copies the weights of what they were made of."""
        for layer, source, copy in self._made.values():
            if not isinstance(copy, keras.layers.Layer) or isinstance(copy, Kept):
                continue
            try:
                if getattr(source, "lora_enabled", False):
                    # As files have it: its product added to the kernel.
                    store: dict[str, Any] = {}
                    source.save_own_variables(store)
                    copy.load_own_variables(store)
                else:
                    copy.set_weights(source.get_weights())
            except ValueError as error:
                raise _CantCopyError(layer) from error
            finalize_states(copy)

    def _copy(self, layer: Any, name: str) -> tuple[Any, Any]:
        """Returns whose weights a copy takes, and the copy."""
        if not isinstance(layer, keras.layers.Layer):
            return layer, copied(layer, name=name)
        if id(layer) not in self._kept:
            inside = keras_private.all_layers(layer)
            wrapped = any(isinstance(one, Reparameterization) for one in inside)
            with contextlib.suppress(Exception):  # of whatever a constructor raises
                source = sn_keras.fold(layer) if wrapped else layer
                changes: dict[str, Any] = {"name": name}
                if getattr(source, "compute_dtype", "float32") != "float32":
                    changes["dtype"] = "float32"
                if getattr(source, "lora_enabled", False):
                    changes["lora_rank"] = None
                return source, copied(source, **changes)
        return layer, Kept(layer, name)


def _run(model: Any, tensors: list[Any], copies: _Copies) -> Any:
    """Returns a model's outputs for symbolic tensors, through copies of its layers."""

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if _is_nested(layer):
            return _run(layer, keras.tree.flatten(arguments[:1]), copies)
        return copies.of(layer)(*arguments, **options)

    converted = [
        conform(x, like, copies.name)
        for x, like in zip(tensors, model.inputs, strict=True)
    ]
    return keras_private.run_through(model, converted, call)


def _is_nested(layer: Any) -> bool:
    """Whether a layer is a graph of layers and nothing besides."""
    kind = type(layer)
    return kind is keras.Sequential or (
        kind.__name__ == "Functional" and kind.__module__.startswith("keras.")
    )


def _plain_dtype(tensor: Any) -> str:
    integer = "int" in keras.backend.standardize_dtype(tensor.dtype)
    return "int32" if integer else "float32"


def _valid(name: str) -> str:
    """Returns a name that TensorFlow takes for a scope."""
    valid = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return valid if re.match(r"[A-Za-z0-9.]", valid) else f"layer{valid}"


@contextlib.contextmanager
def _in_float32() -> Iterator[None]:
    """Layers that a constructor makes follow the program's policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
