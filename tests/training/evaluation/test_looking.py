import numpy as np
import pytest
from scipy.spatial.distance import cdist

from training.data import ArraySource
from training.evaluation import looking


def test_a_way_between_latents_keeps_their_distribution():
    first, second = np.random.default_rng(0).normal(size=(2, 3000, 4))
    way = looking.between(first, second, 5)
    assert way.shape == (3000, 5, 4)
    np.testing.assert_allclose(way[:, 0], first)
    np.testing.assert_allclose(way[:, -1], second, atol=1e-6)
    # Halfway along a straight line the deviation would be 0.71.
    np.testing.assert_allclose(way.std((0, 2)), 1, atol=0.03)


def test_a_way_between_classes():
    way = looking.class_weights([2, 0, 1], 4, 3)
    assert way.tolist() == [
        [[0, 0, 1, 0], [0.5, 0, 0.5, 0], [1, 0, 0, 0]],
        [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0]],
    ]


@pytest.mark.parametrize("count", [3, 40, 700])
def test_nearest_images_are_scipys(count):
    random = np.random.default_rng(0)
    real = random.integers(0, 256, (count, 3, 5, 3), np.uint8)
    images = random.integers(0, 256, (6, 3, 5, 3), np.uint8)
    images[4] = real[count // 2]
    found, distances = looking.nearest(images, ArraySource(real))
    exact = cdist(images.reshape(6, -1), real.reshape(count, -1)) / np.sqrt(45)
    np.testing.assert_array_equal(found, real[exact.argmin(1)])
    np.testing.assert_allclose(distances, exact.min(1), atol=0.05)
    assert distances[4] < 0.05
