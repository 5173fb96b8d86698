"""A folder of image files; its sub-folders, if there are any, are the classes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from training.data.geometry import Geometry
from training.data.sources import ArraySource, DataSource

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def load_folder(root: Path, split: str | None, geometry: Geometry) -> DataSource:
    """Returns the images of a folder, in the order of their names.

    Files directly in the folder have no labels. Files in sub-folders, at any depth,
    have the first sub-folder as their class. Files with other endings and those that
    begin with a dot are passed over. Of an animation the first frame is taken.

    Args:
        root: has images, or sub-folders with images.
        split: None or "all".
        geometry: what to turn the images into; without a size they must be of one.

    Raises:
        ValueError: if there are no images, one of them can't be decoded or has more
            than 8 bits a channel, or they differ in size.
    """
    if split not in (None, "all"):
        raise ValueError(
            "`split` of a folder of images must be None or 'all': give the split's "
            f"own folder. Received: split={split!r}"
        )
    paths = sorted(path for path in root.rglob("*") if _is_image(path, root))
    if not paths:
        raise ValueError(
            f"A folder of images must have files that end in {', '.join(_SUFFIXES)}. "
            f"Received: {root} without any"
        )
    classes = [path.relative_to(root).parts[:-1] for path in paths]
    if any(classes) and not all(classes):
        raise ValueError(
            "A folder must have its images either in sub-folders, one for a class, or "
            f"beside each other. Received: {root} with {paths[classes.index(())].name} "
            f"beside the folder {next(filter(None, classes))[0]}"
        )
    labels = names = None
    if all(classes):
        names = sorted({parts[0] for parts in classes})
        labels = np.array([names.index(parts[0]) for parts in classes])
    return ArraySource(_read_all(paths, geometry), labels, names, str(root), "all")


def _is_image(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() in _SUFFIXES and not hidden and path.is_file()


def _read_all(paths: list[Path], geometry: Geometry) -> np.ndarray:
    """Returns all images in one array, decoded in parallel."""
    channels = geometry.channels or max(_channels(path) for path in paths)

    def read(path: Path) -> np.ndarray:
        return np.asarray(geometry.apply(_decode(path, channels)))

    first = read(paths[0])
    images = np.empty((len(paths), *first.shape), np.uint8)

    def place(index: int) -> None:
        image = read(paths[index])
        if image.shape != first.shape:
            raise ValueError(
                "Images of different sizes need `image_size`, the size that they are "
                f"cropped and resized to. Received: {paths[0]} of "
                f"{first.shape[:2]} and {paths[index]} of {image.shape[:2]}"
            )
        images[index] = image

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(place, range(len(paths))):
            pass
    return images


def _channels(path: Path) -> int:
    """Returns 1 for a grey image and 3 for one with colours, from its header."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return 1 if image.mode in ("1", "L", "LA") else 3
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _broken(path, error) from error


def _decode(path: Path, channels: int) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(
                    "values outside [0, 255]: it has more than 8 bits a channel"
                )
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _broken(path, error) from error
    return pixels.reshape(*pixels.shape[:2], channels)


def _broken(path: Path, error: Exception) -> ValueError:
    return ValueError(
        "A file in a folder of images must be an image that can be decoded to bytes. "
        f"Received: {path} ({error})"
    )
