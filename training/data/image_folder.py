"""A folder of image files: splits, classes, and whether all fit in memory."""

from __future__ import annotations

from pathlib import Path

from training import memory, values
from training.data.decoding import Decoder, colour
from training.data.file_source import read_all, read_later
from training.data.geometry import Geometry
from training.data.listing import find_images
from training.data.sources import DataSource

# Pixels may take this share of the computer's memory. Training holds them twice: as an
# array, and as a tensor.
_MEMORY_SHARE = 1 / 4


def load_folder(
    root: Path,
    split: str | None,
    geometry: Geometry,
    held_out: float = 0.0,
    background: str = "white",
    skip_broken: bool = False,
    streaming: bool | None = None,
) -> DataSource:
    """Returns the images of a folder, in the order of their names.

    `training.data.listing.find_images` says what are splits and classes,
    `training.data.decoding.Decoder` what is made of a file.

    Args:
        root: has images, sub-folders of images (classes), or splits of either.
        split: "train", "test", "val" or "all"; None: what is trained on.
        geometry: what to turn the images into; without a size they must be of one.
        held_out: the share that is the split "test", in [0, 1).
        background: colour beneath transparent images.
        skip_broken: whether to go on without files that can't be decoded.
        streaming: whether to decode images as they are needed rather than hold them
            in memory; None: if their pixels would take over a quarter of it.

    Raises:
        NoSuchSplitError: if the split isn't there.
        ValueError: if there are no images, one of them can't be decoded, or they
            differ in size.
    """
    held_out = values.number("split", held_out, 0, below=1)
    skip_broken = values.boolean("skip_broken", skip_broken)
    decoder = Decoder(
        geometry.size, geometry.channels, colour("background", background)
    )
    listing = find_images(root, split, held_out)
    if streaming is None:
        height, width = geometry.size or (0, 0)
        pixels = len(listing) * height * width * (geometry.channels or 3)
        streaming = pixels > _MEMORY_SHARE * memory.available()
    read = read_later if streaming else read_all
    return read(listing, decoder, str(root), skip_broken)
