"""From an image file to bytes of the size and channels that are asked for.

By Pillow, which lets go of Python's lock while it decodes: threads share the work.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, ImageColor
from PIL.ImageFile import ImageFile

from training import memory, values

_ORIENTATION = 0x0112
_TRANSPOSE = Image.Transpose
_UPRIGHT = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_270,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_90,
}
_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
Image.init()
# No others: Pillow has PostScript, whatever its file is called, run by a program.
_READERS = [Image.OPEN[kind] for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")]
# A transparent image is there as it was decoded, with its alpha channel, as the
# background and as what is laid on it: four bytes each.
_PIXEL_BYTES = 16
# Of JPEG in several scans all coefficients are held, whatever fraction is decoded.
_JPEG_BYTES = 8


class BrokenImageError(ValueError):
    """A file that is no image, or only a part of one."""


class Traits(NamedTuple):
    """What is worth knowing of a file.

    Attributes:
        grey: whether it has no colours.
        transparent: whether something shows through it.
        depth: the bits of a channel: 8, 12 or 16.
    """

    grey: bool
    transparent: bool
    depth: int


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Turns the content of files into pixels.

    - An image is turned upright as its EXIF data say.
    - Transparent parts show `background`.
    - Of 12 or 16 bits a channel the upper 8 are taken. 32 bits a channel, whose range
      no rule knows, are refused.
    - Other proportions are cropped around the centre, then resized by triangles as
      wide as the scale asks for (bilinear with antialiasing). JPEG is decoded at a
      fraction of its size where at least twice the wanted size is left.
    - Of an animation the first frame is taken.
    - What may take more than half of the memory is refused.

    Attributes:
        size: height and width, or None: as the image is.
        channels: 1 (grey) or 3 (RGB), or None: as the image is.
        background: the colour beneath transparent parts.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    background: tuple[int, int, int] = (255, 255, 255)

    def decode(self, content: bytes) -> tuple[np.ndarray, Traits]:
        """Returns uint8 pixels `(height, width, 1 or 3)`, and what was seen.

        Raises:
            BrokenImageError: if it is no whole image.
        """
        try:
            with _open(io.BytesIO(content)) as image:
                traits = self._traits(image)
                self._shrink(image)
                image.load()
                pixels, transparent = self._pixels(_upright(image), traits)
        except MemoryError:
            raise
        # Pillow's readers raise whatever a damaged file leads them to.
        except Exception as error:
            raise BrokenImageError(_reason(error)) from error
        return pixels, traits._replace(transparent=transparent)

    def header(self, file: IO[bytes]) -> tuple[tuple[int, int], Traits]:
        """Returns height and width, and what the header of an open file says.

        Raises:
            BrokenImageError: if it is no image.
        """
        try:
            with _open(file) as image:
                traits = self._traits(image)
                width, height = image.size
                if _orientation(image) > 4:
                    width, height = height, width
                self._shrink(image)
                return (height, width), traits
        except MemoryError:
            raise
        except Exception as error:
            raise BrokenImageError(_reason(error)) from error

    def _traits(self, image: Image.Image) -> Traits:
        if image.mode in ("I", "F"):
            raise ValueError("more than 16 bits a channel")
        transparent = image.has_transparency_data
        grey = image.mode in _GREY
        if transparent and len(set(self.background)) > 1:
            grey = False
        # Pillow itself takes the upper half of all but a single grey channel.
        stored = str(image.tile[0].args) if image.tile else ""
        depth = 16 if "16" in image.mode or ";16" in stored else 8
        return Traits(grey, transparent, 12 if "I;12" in stored else depth)

    def _shrink(self, image: ImageFile) -> None:
        """Has JPEG decoded at a fraction, and refuses what memory has no room for."""
        width, height = image.size
        if self.size is not None:
            # One number: a camera's image may lie on its side.
            least = 2 * max(self.size)
            image.draft(None, (least, least))
        decoded = _PIXEL_BYTES * image.width * image.height
        if max(decoded, _JPEG_BYTES * width * height) > _most_bytes():
            raise ValueError(f"{width} x {height} pixels, too many for the memory")

    def _pixels(self, image: Image.Image, traits: Traits) -> tuple[np.ndarray, bool]:
        transparent = False
        if image.mode.startswith("I;16"):
            image = _upper_eight(image, traits.depth)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            transparent = image.getchannel("A").getextrema()[0] < 255
            if transparent:
                ground = Image.new("RGBA", image.size, (*self.background, 255))
                image = Image.alpha_composite(ground, image)
        channels = self.channels or (1 if traits.grey else 3)
        image = image.convert("L" if channels == 1 else "RGB")
        if self.size is not None and image.size != self.size[::-1]:
            # Cropped first: resizing a box reads pixels beyond its edge. Not by `crop`,
            # which minds Pillow's limit.
            left, top, right, bottom = _centre(image.size, *self.size)
            middle = Image.new(image.mode, (right - left, bottom - top))
            middle.paste(image, (-left, -top))
            image = middle.resize(self.size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        return pixels.reshape(*pixels.shape[:2], channels), transparent


def colour(argument: str, value: str) -> tuple[int, int, int]:
    """Returns a colour by its name, such as `white`, or number, such as `#ff8000`.

    Raises:
        ValueError: if it is none.
    """
    try:
        red, green, blue = ImageColor.getrgb(value)
    except (ValueError, AttributeError, TypeError) as error:
        wanted = "a colour, such as white or #ff8000"
        raise ValueError(values.message(argument, wanted, value)) from error
    return red, green, blue


def _open(file: IO[bytes]) -> ImageFile:
    """Opens an image of one of our formats.

    `Image.open` has a limit on pixels besides, low for a phone's photograph, that can
    only be lifted for the whole process.
    """
    start = file.read(16)
    file.seek(0)
    for reader, accepts in _READERS:
        if accepts is not None and accepts(start) is True:
            return reader(file, "")
    raise ValueError("not an image")


@functools.cache
def _most_bytes() -> int:
    return memory.available() // 2


def _upper_eight(image: Image.Image, depth: int) -> Image.Image:
    """Returns an image of more bits as one of 8, transparent where it is."""
    deep = np.asarray(image)
    upper = Image.fromarray((deep >> (depth - 8)).astype(np.uint8))
    hidden = image.info.get("transparency")
    if hidden is not None:
        upper.putalpha(Image.fromarray((deep != hidden).astype(np.uint8) * 255))
    return upper


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    # Not asked of all: it takes as long as a small image. TIFF comes upright.
    if "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # The image may be whole where its EXIF data aren't.
    except (OSError, ValueError, TypeError, SyntaxError, KeyError, struct.error):
        return 1


def _centre(
    size: tuple[int, int], height: int, width: int
) -> tuple[int, int, int, int]:
    """Returns the largest centred box with the proportions of `height` to `width`."""
    have_width, have_height = size
    crop_height = max(1, min(have_height, have_width * height // width))
    crop_width = max(1, min(have_width, have_height * width // height))
    top = (have_height - crop_height) // 2
    left = (have_width - crop_width) // 2
    return left, top, left + crop_width, top + crop_height
