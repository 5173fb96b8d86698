"""Multi-scale structural similarity within classes, which shows mode collapse."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from training.evaluation.checks import check_count, check_images, check_labels
from training.evaluation.intra_fid import ScoreByClass

# Wang, Simoncelli, Bovik 2003, from the finest scale to the coarsest.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
PAIRS_AT_A_TIME = 100


def scales_of(image_shape: tuple[int, ...]) -> int:
    """Number of scales whose halved image still holds the 11-pixel window.

    The five scales of the definition need 176 px: an image of 128 px has 4, one of 28
    to 43 px has 2. Smaller windows would make more scales fit, at the price of values
    that no other implementation's compare with.
    """
    size = min(image_shape[:2])
    count = 0
    while count < len(SCALE_WEIGHTS) and size >= WINDOW:
        count += 1
        size //= 2
    return count


def intra_ms_ssim(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    pairs: int = 100,
    seed: int = 0,
) -> ScoreByClass:
    """Mean MS-SSIM of random pairs of images of the same class.

    Images of one class that are all alike score 1. The similarity itself is
    `tf.image.ssim_multiscale` (float32) with an 11-pixel window, on as many of its five
    scales as fit (`scales_of`), their exponents divided by their sum. So compare it
    between images of the same size alone.

    Args:
        images: uint8 images of shape (n, height, width, 1 or 3), at least 11 px.
        labels: Their classes, integers of shape (n,). `None`: all are of one class.
        pairs: Pairs a class, of two different images each. Defaults to 100; the number
            isn't stated in the literature that this score comes from.
        seed: Draws the pairs, by numpy's `RandomState`. Defaults to 0.

    Returns:
        `(mean, by_class)`, in [0, 1]; lower is more varied.

    Raises:
        TypeError: If the images aren't uint8.
        ValueError: If the images are too small, or a class has fewer than two.

    Example:
        >>> import numpy as np
        >>> noise = np.random.RandomState(0).randint(0, 256, (8, 32, 32, 1), np.uint8)
        >>> collapsed = np.repeat(noise[:1], 8, axis=0)
        >>> intra_ms_ssim(noise).mean < 0.1 < 0.999 < intra_ms_ssim(collapsed).mean
        True

    Source:
        Odena, Olah, Shlens, "Conditional image synthesis with auxiliary classifier
        GANs", 2017, arXiv 1610.09585, section 4.2.
    """
    pairs = check_count("pairs", pairs)
    images = check_images("images", images)
    if scales_of(images.shape[1:]) == 0:
        raise ValueError(
            f"`images` must be at least {WINDOW} px high and wide. "
            f"Received: shape={images.shape}"
        )
    if labels is None:
        labels = np.zeros(len(images), int)
    labels = check_labels("labels", labels, len(images))
    random = np.random.RandomState(seed)
    by_class = {}
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(
                "`images` must hold at least two of each class. "
                f"Received: one of class {label}"
            )
        first = random.randint(len(members), size=pairs)
        # An offset of at least one: no image is its own partner.
        second = (first + random.randint(1, len(members), size=pairs)) % len(members)
        similarity = ms_ssim(images[members[first]], images[members[second]])
        by_class[int(label)] = float(similarity.mean())
    return ScoreByClass(float(np.mean(list(by_class.values()))), by_class)


def ms_ssim(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """MS-SSIM of each image of `first` with its partner, shape (n,)."""
    weights = np.array(SCALE_WEIGHTS[: scales_of(first.shape[1:])])
    weights /= weights.sum()
    parts = [
        tf.image.ssim_multiscale(
            first[start : start + PAIRS_AT_A_TIME],
            second[start : start + PAIRS_AT_A_TIME],
            max_val=255,
            power_factors=tuple(weights),
            filter_size=WINDOW,
        ).numpy()
        for start in range(0, len(first), PAIRS_AT_A_TIME)
    ]
    return np.concatenate(parts).astype(np.float64)
