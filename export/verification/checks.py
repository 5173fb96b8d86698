"""What an exported file must return, before any difference is measured."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from export.errors import VerificationError

# Images in a call of `sample`.
SAMPLES = 3


def sample_calls(
    inputs: dict[str, np.ndarray],
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns calls of `serving_default`, and of `sample` with class 0.

    The first one tells whether latents change the images of that class; the others
    are of a seed twice, another one, and truncation 0.

    Args:
        inputs: latents (and labels) that `serving_default` takes.
    """
    conditional = "labels" in inputs
    several = {"latents": inputs["latents"][:SAMPLES]}
    if conditional:
        several["labels"] = np.zeros(len(several["latents"]), "int32")
    calls = [("serving_default", several)]
    for seed, truncation in ((7, 8.0), (7, 8.0), (8, 8.0), (7, 0.0)):
        call = {
            "count": np.array(SAMPLES, "int32"),
            "seed": np.array(seed, "int64"),
            "truncation": np.array(truncation, "float32"),
        }
        if conditional:
            call["labels"] = np.zeros(1, "int32")
        calls.append(("sample", call))
    return calls


def check_samples(
    path: pathlib.Path, images: list[Any], shape: tuple[int, ...], step: float
) -> None:
    """Checks what `sample` returned.

    Args:
        path: the file, for messages.
        images: what each call of `sample_calls` returned; none for other formats.
        shape: that those of `sample` must have.
        step: difference of images that becomes one of their bytes.

    Raises:
        VerificationError: if the images don't follow from seed and truncation.
    """
    if not images:
        return
    several, *images = images
    for image in images:
        check_images(path, image, shape, "uint8")
    # Of a generator that has collapsed, or that looks at its labels alone.
    constant = bool(np.ptp(several, axis=0).max() < step / 2)
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
