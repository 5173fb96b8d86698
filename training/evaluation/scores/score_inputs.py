"""Checks of what the scores are given: shapes, finite values, enough rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Rows that are widened to float64 at a time: 50,000 Inception features as float64
# are 820 MB, which the scores never need at once.
CHUNK_ROWS = 4096


def chunks(array: NDArray, rows: int = CHUNK_ROWS) -> Iterator[NDArray]:
    """Yields consecutive blocks of at most `rows` rows of `array`."""
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def check_features(argument: str, features: ArrayLike, minimum: int = 2) -> NDArray:
    """Returns `features` as an array of shape (n, d), its dtype kept.

    Args:
        argument: the name that an error calls the array by.
        features: real numbers of shape (n, d), one row an image.
        minimum: the fewest rows that the score is defined for.

    Raises:
        TypeError: if the values are not real numbers.
        ValueError: if the shape isn't (n, d), there are fewer than `minimum` rows or
            no columns, or a value is NaN or infinite.
    """
    array = np.asarray(features)
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"`{argument}` must hold real numbers. Received: dtype={array.dtype}"
        )
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(
            f"`{argument}` must have the shape (images, features). "
            f"Received: shape={array.shape}"
        )
    if len(array) < minimum:
        raise ValueError(
            f"`{argument}` must have at least {minimum} rows, one an image. "
            f"Received: shape={array.shape}"
        )
    for index, block in enumerate(chunks(array)):
        finite = np.isfinite(block)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"`{argument}` must be finite. Received: {block[row, column]} in row "
                f"{index * CHUNK_ROWS + row}, column {column}"
            )
    return array


def check_pair(
    real: ArrayLike, fake: ArrayLike, minimum: int = 2
) -> tuple[NDArray, NDArray]:
    """Checks two feature arrays that must have the same number of columns."""
    real = check_features("real", real, minimum)
    fake = check_features("fake", fake, minimum)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            "`real` and `fake` must have the same number of features. Received: "
            f"real.shape={real.shape}, fake.shape={fake.shape}"
        )
    return real, fake


def check_labels(argument: str, labels: ArrayLike, count: int) -> NDArray:
    """Returns `labels` as an integer array of shape (count,)."""
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"`{argument}` must hold integers. Received: dtype={array.dtype}"
        )
    if array.shape != (count,):
        raise ValueError(
            f"`{argument}` must have one label an image, shape ({count},). "
            f"Received: shape={array.shape}"
        )
    return array


def check_images(argument: str, images: ArrayLike) -> NDArray:
    """Returns `images` as a uint8 array of shape (n, height, width, channels).

    Scores are defined on the values that a picture file holds. Floats are refused, not
    converted: [−1, 1], [0, 1] and [0, 255] look alike to a network that has been given
    the wrong one, and the score would be wrong without a sign.

    Raises:
        TypeError: if the dtype isn't uint8; says how to convert generator output.
        ValueError: if the rank isn't 4, the set is empty, or channels aren't 1 or 3.
    """
    array = np.asarray(images)
    if array.dtype != np.uint8:
        found = f"dtype={array.dtype}"
        if array.size and array.dtype.kind in "fiu":
            found += f", values from {array.min():g} to {array.max():g}"
        raise TypeError(
            f"`{argument}` must be uint8 images with values from 0 to 255; convert a "
            "generator's output in [-1, 1] with `training.storage.pictures.to_uint8`. "
            f"Received: {found}"
        )
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise ValueError(
            f"`{argument}` must have the shape (images, height, width, 1 or 3). "
            f"Received: shape={array.shape}"
        )
    if array.size == 0:
        raise ValueError(
            f"`{argument}` must not be empty. Received: shape={array.shape}"
        )
    return array


def warn_if_few(argument: str, count: int, dimension: int) -> None:
    """Warns if a covariance of `dimension` features rests on too few images."""
    if count <= dimension:
        warnings.warn(
            f"`{argument}` has {count} images for {dimension} features: its covariance "
            "is singular, which biases the Fréchet distance upwards. Compare it only "
            "with distances of the same numbers of images, or take more of them.",
            UserWarning,
            stacklevel=3,
        )
