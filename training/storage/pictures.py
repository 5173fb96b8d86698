"""Generated images as pixels, grids and PNG files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.storage.files import replacing


def to_uint8(images: Any) -> np.ndarray:
    """Returns images in [−1, 1] as the nearest of the values 0 to 255."""
    scaled = (np.asarray(images, dtype=np.float32) + 1.0) * 127.5
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def grid(images: np.ndarray, gap: int = 2, columns: int | None = None) -> np.ndarray:
    """Returns images side by side, row by row.

    Args:
        images: uint8, shape `(count, height, width, channels)`.
        gap: black pixels between two images.
        columns: images in a row; None: as near to a square as their number allows.

    Returns:
        A uint8 array of shape `(height, width, channels)`.
    """
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.zeros(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, channels), np.uint8
    )
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def write_png(path: Path | str, image: np.ndarray) -> None:
    """Writes a uint8 image of 1 or 3 channels in place of `path`."""
    pixels = image[:, :, 0] if image.shape[-1] == 1 else image
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
