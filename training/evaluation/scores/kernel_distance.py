"""Kernel Inception distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training import values
from training.evaluation.scores.inception_score import MeanAndDeviation
from training.evaluation.scores.score_inputs import check_pair


def kernel_distance(
    real: ArrayLike,
    fake: ArrayLike,
    subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    seed: int = 2020,
) -> MeanAndDeviation:
    """Kernel Inception distance: squared MMD with a polynomial kernel, over subsets.

    MMD²ᵤ = Σ_{i≠j} k(xᵢ,xⱼ)/(m(m−1)) + Σ_{i≠j} k(yᵢ,yⱼ)/(m(m−1)) − 2 Σ k(xᵢ,yⱼ)/m²,
    k(x, y) = (xᵀy/d + 1)^degree

    Unlike the Fréchet distance it is unbiased: small sets make it noisier, not larger,
    and it may come out slightly below 0.

    Args:
        real: features of shape (n, d).
        fake: features of the generated images, shape (m, d).
        subsets: number of subsets that the mean is taken over. Defaults to 100.
        subset_size: images a subset, drawn from each set without replacement; at most
            the size of the smaller set. Defaults to 1,000.
        degree: degree of the polynomial kernel. Defaults to 3.
        seed: draws the subsets, by numpy's `RandomState`, in the reference
            implementation's order. Defaults to its 2020.

    Returns:
        `(mean, standard_deviation)` over the subsets.

    Raises:
        TypeError: if the values aren't real numbers or counts aren't integers.
        ValueError: if a set is smaller than `subset_size`, a value is not finite, or
            the numbers of features differ.

    Example:

    ```python
    x = np.random.RandomState(0).normal(size=(400, 4))
    near = kernel_distance(x[:200], x[200:], subset_size=100).mean
    far = kernel_distance(x[:200], x[200:] + 2.0, subset_size=100).mean
    assert near < 0.1 < far
    ```

    Source:
        Bińkowski et al., "Demystifying MMD GANs", 2018, arXiv 1801.01401. Subsets of
        both sets are drawn anew each time, as in torch-fidelity.
    """
    subsets = values.integer("subsets", subsets)
    subset_size = values.integer("subset_size", subset_size, minimum=2)
    degree = values.integer("degree", degree)
    real, fake = check_pair(real, fake)
    if subset_size > min(len(real), len(fake)):
        raise ValueError(
            "`subset_size` must be at most the number of images in each set. Received: "
            f"subset_size={subset_size}, {len(real)} real and {len(fake)} generated"
        )
    random = np.random.RandomState(seed)
    distances = np.empty(subsets)
    for index in range(subsets):
        # The generated set first: the reference takes them as its input 1.
        y = fake[random.choice(len(fake), subset_size, replace=False)]
        x = real[random.choice(len(real), subset_size, replace=False)]
        distances[index] = squared_mmd(x, y, degree)
    return MeanAndDeviation(float(distances.mean()), float(distances.std()))


def squared_mmd(real: NDArray, fake: NDArray, degree: int = 3) -> float:
    """The unbiased estimate of MMD² between two sets of equal size, as above."""
    x = real.astype(np.float64)
    y = fake.astype(np.float64)
    size, dimension = x.shape

    def kernel(a: NDArray, b: NDArray) -> NDArray:
        return (a @ b.T / dimension + 1.0) ** degree

    def without_diagonal(matrix: NDArray) -> float:
        return matrix.sum() - np.trace(matrix)

    within = without_diagonal(kernel(x, x)) + without_diagonal(kernel(y, y))
    return float(within / (size * (size - 1)) - 2.0 * kernel(x, y).mean())
