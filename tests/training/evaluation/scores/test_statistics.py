"""Mean and scatter by blocks against numpy's covariance of everything at once."""

import numpy as np
import pytest

from training.evaluation.scores.statistics import gaussian_statistics


def test_batches_of_any_size_and_dtype():
    features = np.random.RandomState(1).normal(size=(5000, 3)).astype("float32")
    whole = gaussian_statistics(features)
    batches = gaussian_statistics(iter(np.split(features, [1, 64, 4200])))
    expected = np.cov(features.astype("float64"), rowvar=False)
    np.testing.assert_allclose(whole.covariance, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(batches.covariance, expected, rtol=1e-12, atol=1e-14)


def test_keeps_a_small_spread_about_a_large_mean():
    """Σxxᵀ − nμμᵀ has no correct digit here: 1e-6² beside 1e4² in float64."""
    spread = np.random.RandomState(2).normal(size=(4000, 2)) * 1e-6
    parts = gaussian_statistics(iter(np.split(spread + 1e4, 8)))
    # Adding 1e4 rounds the spread itself to about 2e-12: 1e-6 of it.
    expected = np.cov(spread, rowvar=False)
    np.testing.assert_allclose(parts.covariance, expected, rtol=1e-4, atol=1e-16)


def test_refuses_no_batches_and_other_sizes():
    with pytest.raises(ValueError, match="at least one batch"):
        gaussian_statistics(iter([]))
    with pytest.raises(ValueError, match="same number of features"):
        gaussian_statistics(iter([np.ones((3, 2)), np.ones((3, 4))]))
