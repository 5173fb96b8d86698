"""Which input of a generator is what, in every form that models take them in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from export import keras_private

# Words in the names of inputs that take classes, where the dtype doesn't tell.
_LABEL_WORDS = {
    *("label", "labels", "class", "classes", "cond", "condition", "conditions"),
    *("category", "categories", "categorical", "onehot", "hot"),
}


def functional(model: keras.Model, name: str) -> keras.Model:
    """Returns a model whose inputs and outputs are known, around one of any class.

    Args:
        model: a Functional, Sequential or subclassed model.
        name: what messages call it.

    Raises:
        ValueError: if it is not built.
    """
    if getattr(model, "inputs", None):
        return model
    shape = (model.get_build_config() or {}).get("input_shape")
    if not model.built or shape is None:
        raise ValueError(
            f"{name} is not built, so that nobody knows what it takes: call it once, "
            "on latents (or on `[latents, labels]`), or begin it with `keras.Input`."
        )
    several = isinstance(shape, list) or isinstance(shape[0], (list, tuple))
    shapes = list(shape) if several else [shape]
    tensors = [
        keras.Input(tuple(one[1:]), dtype="float32" if len(one) > 1 else "int32")
        for one in shapes
    ]
    outputs = model(tensors if several else tensors[0])
    return keras.Model(tensors, outputs, name=model.name)


def kinds(tensors: Sequence[Any]) -> list[str]:
    """Returns what each input is: `latents`, `labels` or `?`.

    Latents are floats of any rank from 2 and of known shape; labels are integers of
    shape (batch,) or (batch, 1), or the same as floats or one-hot vectors, if their
    input's name says that they are.

    Args:
        tensors: the model's inputs.
    """
    found = [_kind(tensor) for tensor in tensors]
    if found.count("latents") == 2:
        named = [_is_named_label(tensor) for tensor in tensors]
        if named.count(True) == 1 and len(tensors[named.index(True)].shape) == 2:
            found[named.index(True)] = "labels"
    return found


def checked_kinds(model: keras.Model, name: str) -> list[str]:
    """Returns what each input of a generator is, `latents` or `labels`.

    Raises:
        ValueError: if it is another one.
    """
    found = kinds(model.inputs)
    if sorted(found) not in (["latents"], ["labels", "latents"]):
        described = [(t.name, tuple(t.shape), str(t.dtype)) for t in model.inputs]
        raise ValueError(
            f"{name} is no generator: its inputs must be float latents of a known "
            "shape and, if it is conditional, labels: integers of shape (batch,) or "
            "(batch, 1), or the same as floats or one-hot vectors in an input that is "
            "called `labels`. Latents in several inputs: make a model around it that "
            f"takes one and splits it. Received: inputs {described}"
        )
    return found


def classes_of_form(tensor: Any) -> int | None:
    """Returns the number of classes of one-hot labels; None for other forms."""
    shape = tuple(tensor.shape[1:])
    return int(shape[0]) if len(shape) == 1 and shape[0] not in (1, None) else None


def classes_of_layers(model: keras.Model) -> int | None:
    """Returns the number of classes that all layers with one agree on, or None."""
    inside = keras_private.all_layers(model)
    counts = {
        int(layer.num_classes)
        for layer in inside
        if isinstance(getattr(layer, "num_classes", None), int)
    }
    counts |= {
        int(layer.input_dim)
        for layer in inside
        if isinstance(layer, keras.layers.Embedding)
    }
    return counts.pop() if len(counts) == 1 else None


def shaped(value: np.ndarray, like: Any) -> np.ndarray:
    """Returns latents or class numbers in the form that a model's input has.

    Args:
        value: of shape (batch, n) or, for labels, (batch,).
        like: the input.
    """
    dtype = keras.backend.standardize_dtype(like.dtype)
    classes = classes_of_form(like)
    if value.ndim == 1 and classes is not None:
        value = np.eye(classes, dtype="float32")[value]
    dtype = "float32" if "float" in dtype else dtype
    return value.reshape((len(value), *like.shape[1:])).astype(dtype)


def of_model(model: keras.Model, drawn: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Returns latents (and labels) as a model's inputs have them, in their order."""
    return [
        shaped(drawn[kind], tensor)
        for kind, tensor in zip(kinds(model.inputs), model.inputs, strict=True)
    ]


class Conversion(keras.layers.Layer):
    """Gives a tensor the shape and the kind of number that another one has.

    Args:
        shape: without the batch.
        integer: whether the numbers are integers.
        name: the layer's name.
    """

    def __init__(self, shape: Sequence[int], integer: bool, name: str):
        super().__init__(name=name, dtype="float32")
        self.shape, self.integer = tuple(shape), integer

    def get_config(self) -> dict[str, Any]:
        return {"shape": self.shape, "integer": self.integer, "name": self.name}

    def call(self, inputs: Any) -> Any:
        """Returns the tensor in that form."""
        x, ops = inputs, keras.ops
        if len(x.shape) == 1 and len(self.shape) == 1 and self.shape[0] != 1:
            x = ops.one_hot(x, self.shape[0], dtype="float32")
        if tuple(x.shape[1:]) != self.shape:
            x = ops.reshape(x, (-1, *self.shape))
        if ("int" in keras.backend.standardize_dtype(x.dtype)) != self.integer:
            x = ops.cast(x, "int32" if self.integer else "float32")
        return x


def conform(x: Any, like: Any, name: Callable[[str], str]) -> Any:
    """Returns a symbolic tensor in the form that a model's input has.

    The width of the numbers is left as it is: a plain model has float32 and int32
    alone, which every runtime takes.

    Args:
        x: the tensor.
        like: the input.
        name: gives the layer that does it a name, if there is anything to do.
    """
    shape = tuple(like.shape[1:])
    integer = ["int" in keras.backend.standardize_dtype(t.dtype) for t in (x, like)]
    same_shape = None in shape or tuple(x.shape[1:]) == shape
    if same_shape and integer[0] == integer[1]:
        return x
    shape = tuple(x.shape[1:]) if None in shape else shape
    return Conversion(shape, integer[1], name(f"{like.name}_form"))(x)


def _kind(tensor: Any) -> str:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        return "?"
    if "int" in keras.backend.standardize_dtype(tensor.dtype):
        one_hot = len(shape) == 1 and _is_named_label(tensor)
        return "labels" if shape in ((), (1,)) or one_hot else "?"
    if shape:
        return "latents"
    named = _is_named_label(tensor) or str(tensor.name).lower() in ("y", "c")
    return "labels" if named else "?"


def _is_named_label(tensor: Any) -> bool:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", str(tensor.name))
    return not _LABEL_WORDS.isdisjoint(word.lower() for word in words)
