"""Whether a copy of a model computes what the model computes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.layers import Layer

from sn_keras.keras_private import build_shapes, flatten_layers
from sn_keras.reparameterization import Reparameterization

# Sides of unknown size, in the order in which they are tried.
_SIZES = (8, 32, 128, 224)


def check_equal(model: Layer, copy: Layer, inputs: Any = None) -> None:
    """Raises a ValueError unless both have the same output in inference.

    A model that differs from itself, because it draws random numbers in inference,
    can't be compared and passes.

    Args:
        model: the model.
        copy: the copy.
        inputs: what to compare on; a tuple holds several arguments. None: random
            numbers in [0, 2) of the shape that the model was built for.
    """
    if inputs is None:
        args, options = _random_arguments(model)
    else:
        args, options = inputs if isinstance(inputs, tuple) else (inputs,), {}
    # Rounding adds up over the layers: half of the digits have to agree.
    kinds = {str(layer.compute_dtype) for layer in flatten_layers(model)}
    bounds = {"bfloat16": 0.1, "float16": 0.05, "float64": 1e-8}
    bound = max(bounds.get(kind, 5e-4) for kind in kinds)
    expected = _outputs(model, args, options)
    difference = _difference(_outputs(copy, args, options), expected)
    if difference > bound >= _difference(_outputs(model, args, options), expected):
        raise ValueError(
            f"`model` {model.name!r} can't be copied: on the same input the copy's "
            f"output differs by {difference:.1e} of the largest one. Does `get_config` "
            "return all that the constructor needs, and is all that the model has "
            "learnt in its weights?"
        )


def _difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Returns the largest difference, in units of the largest number of its output."""
    largest = 0.0
    for one, wanted in zip(found, expected, strict=True):
        finite = np.isfinite(wanted)
        if one.shape != wanted.shape or not np.array_equal(
            one[~finite], wanted[~finite], equal_nan=True
        ):
            return np.inf
        scale = max(np.max(np.abs(wanted[finite]), initial=0), 1e-30)
        error = np.max(np.abs(one[finite] - wanted[finite]), initial=0) / scale
        largest = max(largest, np.inf if np.isnan(error) else float(error))
    return largest


def _random_arguments(model: Layer) -> tuple[Any, Any]:
    problem: Exception | None = None
    for size in _SIZES:
        try:
            args, options = _random_inputs(model, size)
            _outputs(model, args, options)
            return args, options
        # Whatever a user's layer raises for sizes that it is not made for.
        except Exception as error:
            problem = problem or error
    raise ValueError(
        f"`model` {model.name!r} can't be compared with its copy: it does not take "
        "random numbers of the shape that it was built for. Give `inputs` that it "
        f"takes. It raised {type(problem).__name__}: {problem}"
    ) from problem


def _random_inputs(model: Layer, size: int) -> tuple[list[Any], dict[str, Any]]:
    rng = np.random.default_rng(0)

    def draw(shape: Any, dtype: str, batch: int = 2) -> Any:
        sizes = [size if n is None else int(n) for n in tuple(shape)[1:]]
        values = rng.uniform(0, 2, (batch, *sizes))
        return keras.ops.cast(values.astype("float32"), dtype)

    while isinstance(model, Reparameterization):
        model = model.layer
    tensors = getattr(model, "inputs", None)
    if isinstance(model, keras.Model) and tensors:
        tensors = tensors[0] if isinstance(model, keras.Sequential) else model.input

        def draw_like(x: Any) -> Any:
            return draw(x.shape, x.dtype, x.shape[0] or 2)

        return [keras.tree.map_structure(draw_like, tensors)], {}
    shapes = build_shapes(model) or {}
    if not shapes:
        raise ValueError("the shape that it was built for is not known")

    def of_shapes(shape: Any) -> Any:
        if isinstance(shape, dict):
            return {key: of_shapes(one) for key, one in shape.items()}
        if all(n is None or isinstance(n, int) for n in shape):
            return draw(shape, model.compute_dtype)
        return [of_shapes(one) for one in shape]

    if len(shapes) == 1:
        return [of_shapes(shape) for shape in shapes.values()], {}
    return [], {key.removesuffix("_shape"): of_shapes(s) for key, s in shapes.items()}


def _outputs(model: Layer, args: Any, options: Any) -> list[np.ndarray]:
    # States are left as they were, and are 0 meanwhile; seeds go on.
    layers = flatten_layers(model)
    states = keras.tree.flatten([getattr(one, "states", None) for one in layers])
    states = [state for state in states if isinstance(state, keras.Variable)]
    kept = [v for v in model.variables if not v.trainable and "float" in v.dtype]
    kept += states
    before = [keras.ops.copy(variable.value) for variable in kept]
    try:
        for state in states:
            state.assign(keras.ops.zeros_like(state.value))
        found = keras.tree.flatten(model(*args, **options))
    finally:
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)
    found = [keras.ops.convert_to_numpy(one) for one in found if one is not None]
    return [one.astype("float64") for one in found]
