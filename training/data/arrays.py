"""Arrays of any kind, checked and turned into a source of bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.geometry import Geometry
from training.data.sources import ArraySource, digest_of

# Images that are resized at a time: bounds the memory that their floats take.
_CHUNK = 1024


def to_source(
    images: np.ndarray,
    labels: np.ndarray | None,
    class_names: Sequence[str] | None,
    name: str,
    split: str,
    geometry: Geometry,
) -> ArraySource:
    """Returns a source of arrays that a file held.

    Args:
        images: numbers in [0, 255] of shape `(n, height, width, channels)`.
        labels: integers, or None.
        class_names: one for each class, or None.
        name: what the source is called, and named by in errors.
        split: which part of the data set it is.
        geometry: what to turn the images into.

    Raises:
        ValueError: if values are no integers in [0, 255].
    """
    images = to_bytes(images, name)
    # Of the files' content: what is made of it may change with TensorFlow.
    digest = digest_of(images, labels, class_names)
    if len(images) and geometry.apply(images[:1]).shape[1:] != images.shape[1:]:
        chunks = range(0, len(images), _CHUNK)
        images = np.concatenate(
            [geometry.apply(images[chunk : chunk + _CHUNK]) for chunk in chunks]
        )
    return ArraySource(images, labels, class_names, name, split, digest)


def to_bytes(values: np.ndarray, name: str) -> np.ndarray:
    """Returns `values` as uint8.

    Args:
        values: whole numbers in [0, 255], of any dtype.
        name: of what held them, for the error.

    Raises:
        ValueError: if they are something else.
    """
    if values.dtype == np.uint8:
        return values
    if values.size and not (values.min() >= 0 and values.max() <= 255):
        raise ValueError(
            f"Images must have values in [0, 255]. Received: {name} with values from "
            f"{values.min()} to {values.max()}"
        )
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        raise ValueError(
            "Images must have whole numbers in [0, 255] as values. "
            f"Received: {name} with fractions, values from {values.min()} to "
            f"{values.max()}"
        )
    return values.astype(np.uint8)
