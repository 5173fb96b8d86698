"""Images and labels for a GAN, checked."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from training import values

# Rounding of a resize or a half-precision store may push a pixel out by this much.
_TOLERANCE = 1e-3

# What TensorFlow's error about a batch names, and what is said of it.
_BAD = {
    "bad images": "`x` must lie in [−1, 1]. Received: a later batch that doesn't.",
    "bad labels": "The labels of `x` must lie in [0, `num_classes`). Received: a later "
    "batch whose labels don't.",
}


def images(given: np.ndarray, image_shape: tuple[int | None, ...]) -> None:
    """Raises a ValueError for images that a discriminator doesn't take.

    Args:
        given: a batch of them, or all.
        image_shape: what it takes.
    """

    def fits(shape: tuple[int, ...]) -> bool:
        return len(shape) == len(image_shape) and all(
            size is None or size == got
            for size, got in zip(image_shape, shape, strict=True)
        )

    shape = given.shape
    if 0 in shape or not fits(shape[1:]):
        wanted = ", ".join(str(size) for size in ("batch", *image_shape))
        one = " That is one image: take `x.batch(64)`." if fits(shape) else ""
        raise ValueError(
            "`x` must have the shape that the discriminator takes, "
            f"({wanted}). Received: x of shape {shape}.{one}"
        )
    # Bytes, counts, texts and what else there is. NumPy has no kind for bfloat16.
    if given.dtype.kind != "f" and given.dtype.name != "bfloat16":
        raise ValueError(
            "`x` must be floats in [−1, 1], such as `x / 127.5 - 1`. "
            f"Received: x of dtype {given.dtype.name}"
        )
    low, high = float(given.min()), float(given.max())
    if not (low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE):
        raise ValueError(
            "`x` must lie in [−1, 1], such as `x / 127.5 - 1` for values from 0 to "
            f"255. Received: x with values from {low:g} to {high:g}"
        )
    if low >= 0 and high > 0.5:
        warnings.warn(
            f"The images' values lie in [{low:g}, {high:g}]; [−1, 1] is expected. If "
            "they were scaled to [0, 1], take `2 * x - 1`.",
            stacklevel=2,
        )


def labels(
    what: str, given: np.ndarray | None, count: int, num_classes: int | None
) -> None:
    """Raises a ValueError for labels that a model of `num_classes` doesn't take.

    Args:
        what: what they are called in the error.
        given: the labels, or None if there are none.
        count: how many there should be.
        num_classes: the number of classes, or None: all labels are dropped.
    """
    if num_classes is None:
        return
    if given is None:
        raise ValueError(
            "A conditional model needs labels: `y` beside an array, `(images, labels)` "
            "in a dataset. Received: no labels"
        )
    if given.dtype.kind not in "iu" or given.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"{what} must be integers of shape ({count},). "
            f"Received: labels of dtype {given.dtype.name} and shape {given.shape}"
        )
    if given.min() < 0 or given.max() >= num_classes:
        raise ValueError(
            f"{what} must lie in [0, {num_classes}), as `num_classes` says. "
            f"Received: labels from {given.min()} to {given.max()}"
        )


def generated_labels(given: Any, count: int, num_classes: int | None) -> tf.Tensor:
    """Returns the labels that `GAN.generate` was given.

    Raises:
        ValueError: if they are not `count` integers in `[0, num_classes)`, or there
            are no classes.
    """
    if num_classes is None:
        wanted = "None for a GAN without classes"
        raise ValueError(values.message("labels", wanted, given))
    found = np.asarray(given)
    labels("`labels`", found, count, num_classes)
    return tf.constant(found.reshape(count), tf.int32)


def in_graph(element: tuple[tf.Tensor, ...], num_classes: int | None) -> tuple:
    """Returns images and labels of a batch, checked as they come.

    Args:
        element: images, and labels if there are.
        num_classes: the number of classes, or None: labels are not looked at.
    """
    near = tf.abs(element[0]) <= 1 + _TOLERANCE  # also false for NaN
    checks = [tf.debugging.Assert(tf.reduce_all(near), ["bad images"])]
    if num_classes is not None:
        classes = tf.cast(element[1], tf.int64)
        known = tf.reduce_all((classes >= 0) & (classes < num_classes))
        checks.append(tf.debugging.Assert(known, ["bad labels"]))
    with tf.control_dependencies(checks):
        return tuple(tf.identity(part) for part in element)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Raises a ValueError in place of what TensorFlow says of a batch by `in_graph`."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        for name, text in _BAD.items():
            if name in error.message:
                raise ValueError(text) from error
        raise
