"""What an exported file must return, before any difference is measured."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from export.errors import VerificationError

# Images in a call of `sample`.
SAMPLES = 3


def sample_calls(conditional: bool) -> list[dict[str, np.ndarray]]:
    """Returns calls of `sample`: a seed twice, another one, and truncation 0.

    Args:
        conditional: whether it takes labels.
    """
    calls = []
    for seed, truncation in ((7, 8.0), (7, 8.0), (8, 8.0), (7, 0.0)):
        call = {
            "count": np.array(SAMPLES, "int32"),
            "seed": np.array(seed, "int64"),
            "truncation": np.array(truncation, "float32"),
        }
        if conditional:
            call["labels"] = np.zeros(1, "int32")
        calls.append(call)
    return calls


def check_samples(
    path: pathlib.Path,
    samples: list[dict[str, np.ndarray]],
    images: list[Any],
    shape: tuple[int, ...],
    constant: bool,
) -> None:
    """Checks what `sample` returned.

    Args:
        path: the file, for messages.
        samples: the calls that `sample_calls` returned; none for other formats.
        images: what each returned.
        shape: that each must have.
        constant: whether Keras gives one image for all latents, as a collapsed
            generator does.

    Raises:
        VerificationError: if the images don't follow from seed and truncation.
    """
    if not samples:
        return
    for image in images:
        check_images(path, image, shape, "uint8")
    first, again, other, typical = images
    same = not constant and np.array_equal(first, other)
    if not np.array_equal(first, again) or same:
        raise VerificationError(
            f"{path.name}: `sample` must return the same images for the same seed and "
            "others for another one."
        )
    if not np.array_equal(typical[0], typical[1]):
        raise VerificationError(
            f"{path.name}: `sample` with `truncation` 0 must return one image."
        )


def check_images(
    path: pathlib.Path, images: Any, shape: tuple[int, ...], dtype: str
) -> None:
    """Raises `VerificationError` for another shape or type, NaN or infinity."""
    if images is None or images.shape != shape or images.dtype != dtype:
        received = None if images is None else f"{images.dtype} {images.shape}"
        raise VerificationError(
            f"{path.name} must return `images` of shape {shape} and dtype {dtype}. "
            f"Received: {received}"
        )
    if not np.isfinite(images).all():
        raise VerificationError(f"{path.name} returns images with NaN or infinity.")
