"""Multi-scale structural similarity within classes, which shows mode collapse."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training import values
from training.evaluation.scores.intra_frechet_distance import ScoreByClass
from training.evaluation.scores.score_inputs import check_images, check_labels

# Wang, Simoncelli, Bovik 2003, from the finest scale to the coarsest.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
PAIRS_AT_A_TIME = 100


def scales_of(image_shape: tuple[int, ...]) -> int:
    """Number of scales whose halved image still holds the 11-pixel window.

    The five scales of the definition need 161 px: an image of 128 px has 4, one of 21
    to 40 px has 2. Smaller windows would make more scales fit, at the price of values
    that no other implementation's compare with.
    """
    size = min(image_shape[:2])
    count = 0
    while count < len(SCALE_WEIGHTS) and size >= WINDOW:
        count += 1
        size = (size + 1) // 2
    return count


def intra_ms_ssim(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    pairs: int = 100,
    seed: int = 0,
) -> ScoreByClass:
    """Mean MS-SSIM of random pairs of images of the same class.

    Images of one class that are all alike score 1. The similarity has an 11-pixel
    window and as many of its five scales as fit (`scales_of`), their exponents divided
    by their sum; so compare it between images of the same size alone.
    `tf.image.ssim_multiscale` computes the same in float32, where flat images lose
    three digits to cancellation.

    Args:
        images: uint8 images of shape (n, height, width, 1 or 3), at least 11 px.
        labels: their classes, integers of shape (n,). `None`: all are of one class.
        pairs: pairs a class, of two different images each. Defaults to 100; the number
            isn't stated in the literature that this score comes from.
        seed: draws the pairs, by numpy's `RandomState`. Defaults to 0.

    Returns:
        `(mean, by_class)`, in [0, 1]; lower is more varied.

    Raises:
        TypeError: if the images aren't uint8.
        ValueError: if the images are too small, or a class has fewer than two.

    Example:

    ```python
    noise = np.random.RandomState(0).randint(0, 256, (8, 32, 32, 1), np.uint8)
    collapsed = np.repeat(noise[:1], 8, axis=0)
    assert intra_ms_ssim(noise).mean < 0.1 < 0.999 < intra_ms_ssim(collapsed).mean
    ```

    Source:
        Odena, Olah, Shlens, "Conditional image synthesis with auxiliary classifier
        GANs", 2017, arXiv 1610.09585, section 4.2; Wang, Simoncelli, Bovik,
        "Multiscale structural similarity for image quality assessment", 2003.
    """
    pairs = values.integer("pairs", pairs)
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
    """MS-SSIM of each image of `first` with its partner, shape (n,), in float64.

    Πⱼ csⱼ^wⱼ · (l·cs)^w_last, each the mean over the image, then over channels;
    negative means count as 0. With μ, s² and s_xy moments in the Gaussian window:

        l = (2 μₓμᵧ + c₁)/(μₓ² + μᵧ² + c₁),   cs = (2 s_xy + c₂)/(sₓ² + sᵧ² + c₂)

    Args:
        first: uint8 images, shape (n, height, width, channels).
        second: their partners, of the same shape.
    """
    count = scales_of(first.shape[1:])
    weights = np.array(SCALE_WEIGHTS[:count])
    weights /= weights.sum()
    parts = []
    for start in range(0, len(first), PAIRS_AT_A_TIME):
        x, y = (
            # Channels before height and width, so that filters are matrix products.
            np.moveaxis(images[start : start + PAIRS_AT_A_TIME], -1, 1) / 1.0
            for images in (first, second)
        )
        similarity = np.ones(x.shape[:2])
        for index, weight in enumerate(weights):
            luminance, contrast = _similarity(x, y)
            last = index == count - 1
            term = (luminance * contrast if last else contrast).mean(axis=(2, 3))
            similarity *= np.maximum(term, 0.0) ** weight
            x, y = _halve(x), _halve(y)
        parts.append(similarity.mean(axis=1))
    return np.concatenate(parts)


def _similarity(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Luminance and contrast-structure maps of images (n, channels, height, width)."""
    rows, columns = (_gaussian_filter(size) for size in x.shape[2:])

    def local_mean(values: NDArray) -> NDArray:
        return rows @ values @ columns.T

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = local_mean(x), local_mean(y)
    products, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = local_mean(x * y) - products
    variances = local_mean(x * x + y * y) - squares
    luminance = (2 * products + c1) / (squares + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _gaussian_filter(size: int) -> NDArray[np.float64]:
    """The window, standard deviation 1.5, at each place it fits: (size − 10, size)."""
    offsets = np.arange(WINDOW) - (WINDOW - 1) / 2
    window = np.exp(-0.5 * (offsets / 1.5) ** 2)
    window /= window.sum()
    matrix = np.zeros((size - WINDOW + 1, size))
    for row in range(len(matrix)):
        matrix[row, row : row + WINDOW] = window
    return matrix


def _halve(images: NDArray) -> NDArray:
    """Means over 2 × 2 pixels; an odd side is first lengthened by its last line."""
    height, width = images.shape[2:]
    padding = [(0, 0), (0, 0), (0, height % 2), (0, width % 2)]
    even = np.pad(images, padding, mode="edge")
    return even.reshape(*images.shape[:2], -(-height // 2), 2, -(-width // 2), 2).mean(
        axis=(3, 5)
    )
