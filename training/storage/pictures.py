"""Generated images as pixels, grids, sheets and files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from training.storage.files import replacing
from training.storage.singles import MARK, earlier_singles

_NAME = 20  # characters of a row's name
_FRAME = 80  # milliseconds of an animation's frame


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


def named_rows(rows: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Returns rows of images below each other, each with a name on its left.

    Args:
        rows: uint8, shape `(count, height, width, channels)` each, all of one shape.
        names: one for each row; "" for none. There is no margin if all are.

    Returns:
        A uint8 array of shape `(height, width, channels)`.
    """
    sheet = grid(np.concatenate(rows), columns=len(rows[0]))
    height = rows[0].shape[1] + 2
    font = ImageFont.load_default(size=max(9, min(14, height // 2)))
    shown = [_shown(name) for name in names]
    if not any(shown):
        return sheet
    width = 8 + math.ceil(max(font.getlength(name) for name in shown))
    margin = Image.new("L", (width, sheet.shape[0]))
    draw = ImageDraw.Draw(margin)
    for number, name in enumerate(shown):
        middle = number * height + rows[0].shape[1] / 2
        draw.text((width - 4, middle), name, fill=255, font=font, anchor="rm")
    pixels = np.asarray(margin)[..., None].repeat(sheet.shape[-1], axis=-1)
    return np.concatenate([pixels, sheet], axis=1)


def _shown(name: str) -> str:
    # The font has no other characters, and a long name would push the images out.
    plain = name.encode("latin-1", "replace").decode("latin-1")
    return plain if len(plain) <= _NAME else plain[: _NAME - 1] + "…"


def write_animation(path: Path | str, frames: Sequence[np.ndarray]) -> None:
    """Writes uint8 images as an animation without end, by `path`'s ending.

    Args:
        path: ends in `.gif` or `.webp`.
        frames: each of 1 or 3 channels and one size.
    """
    images = [_image(frame) for frame in frames]
    options: dict[str, Any] = {"duration": _FRAME, "loop": 0}
    kind = Path(path).suffix.lower().lstrip(".")
    if kind == "webp":
        options["lossless"] = True
        images = [image.convert("RGB") for image in images]
    with replacing(path) as temporary:
        images[0].save(
            temporary, kind, save_all=True, append_images=images[1:], **options
        )


def write_png(path: Path | str, image: np.ndarray) -> None:
    """Writes a uint8 image of 1 or 3 channels in place of `path`."""
    with replacing(path) as temporary:
        _image(image).save(temporary, format="PNG")


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[-1] == 1 else pixels)


def write_singles(folder: Path, images: np.ndarray) -> None:
    """Writes images as `000000.png` and so on, in place of what was written so before.

    Args:
        folder: made if it isn't there.
        images: as for `write_png`, one after another.

    Raises:
        ValueError: if it is no folder, or holds anything else.
    """
    before = earlier_singles(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark = PngImagePlugin.PngInfo()
    mark.add_text(*MARK)
    for i, image in enumerate(images):
        name = f"{i:06d}.png"
        with replacing(folder / name) as temporary:
            _image(image).save(temporary, format="PNG", pnginfo=mark)
        before.discard(name)
    for name in before:
        (folder / name).unlink()
