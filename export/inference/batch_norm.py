"""Batch norm in inference: a scale and a shift, for the layer before it to do."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Layers that batch norm folds into, and the axis of their kernel that counts outputs.
OUTPUT_AXIS: dict[type, int] = {
    keras.layers.Dense: -1,
    keras.layers.Conv1D: -1,
    keras.layers.Conv2D: -1,
    keras.layers.Conv1DTranspose: -2,
    keras.layers.Conv2DTranspose: -2,
}


class ClassAffine(keras.layers.Layer):
    """`x · scale[label] + shift[label]`: conditional batch norm in inference.

    Args:
        scale: a row for each class.
        shift: a row for each class.
        name: the layer's name.
    """

    def __init__(self, scale: np.ndarray, shift: np.ndarray, name: str):
        super().__init__(name=name)
        self.scale = self.add_weight(shape=scale.shape, name="scale")
        self.shift = self.add_weight(shape=shift.shape, name="shift")
        self.scale.assign(scale)
        self.shift.assign(shift)

    def build(self, *shapes: Any) -> None:
        """All weights are there already."""

    def call(self, inputs: Any, labels: Any, **others: Any) -> Any:
        """Returns `inputs` scaled and shifted by class."""
        shape = (-1, *[1] * (len(inputs.shape) - 2), self.scale.shape[-1])
        scale = keras.ops.reshape(_of_class(self.scale, labels), shape)
        shift = keras.ops.reshape(_of_class(self.shift, labels), shape)
        return inputs * scale + shift


def _of_class(rows: Any, labels: Any) -> Any:
    """Returns the row of each label: a class, or a weighting of all classes."""
    if "float" in keras.backend.standardize_dtype(labels.dtype):
        return keras.ops.matmul(labels, rows)
    # ONNX counts negative ones from the end; out of range, each runtime fails.
    labels = tf.where(labels < 0, rows.shape[0], labels)
    return tf.gather(tf.convert_to_tensor(rows), labels)


def as_numpy(variable: keras.Variable) -> np.ndarray:
    """Returns a copy of a variable's value."""
    return np.array(keras.ops.convert_to_numpy(variable))


def _affine(norm: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Returns scale and shift of a batch norm, in float64."""
    mean: np.ndarray = as_numpy(norm.moving_mean).astype("float64")
    variance: np.ndarray = as_numpy(norm.moving_variance).astype("float64")
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * as_numpy(norm.gamma)
    shift = -mean * scale
    if norm.beta is not None:
        shift = shift + as_numpy(norm.beta)
    return scale, shift


def class_affine(norm: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Returns scale and shift of a conditional batch norm, a row for each class."""
    scale, shift = _affine(norm.normalization)
    gamma, beta = as_numpy(norm.gamma), as_numpy(norm.beta)
    return (gamma * scale).astype("float32"), (gamma * shift + beta).astype("float32")


def fold(layer: keras.layers.Layer, norm: keras.layers.Layer) -> list[np.ndarray]:
    """Returns kernel and bias of a layer with the batch norm after it folded in."""
    scale, shift = _affine(norm)
    kernel = as_numpy(layer.kernel)
    shape = [1] * kernel.ndim
    shape[OUTPUT_AXIS[type(layer)]] = math.prod(scale.shape)
    bias = shift + (as_numpy(layer.bias) * scale if layer.use_bias else 0.0)
    folded = kernel * scale.reshape(shape)
    return [folded.astype(kernel.dtype), bias.astype(kernel.dtype)]
