"""The kernel distance against torch-fidelity and the definition."""

import numpy as np
import pytest

from tests.training.evaluation import formulas
from training.evaluation.scores.kernel_distance import kernel_distance, squared_mmd


def test_equals_torch_fidelity(reference):
    real = formulas.features(1, 700, 24)
    fake = formulas.features(2, 600, 24, spread=0.8, shift=0.1)
    score = kernel_distance(real, fake, subsets=20, subset_size=200)
    expected = reference["features"]["kid"]
    mean, deviation = expected.values()
    assert score.mean == pytest.approx(mean, rel=1e-10)
    assert score.standard_deviation == pytest.approx(deviation, rel=1e-10)


def test_is_the_definition():
    x, y = np.random.RandomState(0).normal(size=(2, 5, 3))
    kernel = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs) / 20
    between = sum(kernel(a, b) for a in x for b in y) / 25
    assert squared_mmd(x, y) == pytest.approx(within - 2 * between, rel=1e-12)


def test_is_unbiased_in_the_number_of_images():
    """Small subsets of equal distributions: about 0, where FID would grow."""
    x, y = np.random.RandomState(1).normal(size=(2, 2000, 8))
    score = kernel_distance(x, y, subsets=400, subset_size=20)
    assert abs(score.mean) < 4 * score.standard_deviation / np.sqrt(400)


@pytest.mark.slow
def test_grows_with_noise():
    features = formulas.features(0, 1000, 8)
    noise = np.random.RandomState(7).normal(size=features.shape)
    scores = [
        kernel_distance(features, features + s * noise, 20, 500).mean
        for s in (0, 0.5, 1, 2)
    ]
    assert scores == sorted(scores)


def test_refuses():
    x = np.ones((10, 2))
    with pytest.raises(ValueError, match="`subset_size` must be at most"):
        kernel_distance(x, x)
    with pytest.raises(TypeError, match="`subsets` must be an integer"):
        kernel_distance(x, x, subsets=1.5)
    with pytest.raises(ValueError, match="`fake` must be finite"):
        kernel_distance(x, x * np.inf, subset_size=5)
