import keras
import numpy as np
from scipy import ndimage

from training.data import ArraySource
from training.evaluation import sensitivity as module
from training.evaluation.extractors import KerasExtractor


def source(seed, count=200):
    """Bright quarters, one a class, on noise."""
    random = np.random.RandomState(seed)
    labels = np.arange(count) % 4
    images = random.randint(0, 80, (count, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 120
    return ArraySource(images.astype(np.uint8), labels)


def test_worse_images_are_further_away():
    images = keras.Input((8, 8, 1))
    pooled = keras.layers.AveragePooling2D(2)(images)
    pixels = keras.Model(images, keras.layers.Flatten()(pooled))
    extractor = KerasExtractor(pixels, "pixels")
    moved = module.sensitivity(extractor, source(0), source(1), count=200)
    kinds = {"noise": 4, "blurred": 3, "of 4 classes": 3, "times each": 2}
    assert list(moved)[0] == "as they are"
    for kind, count in kinds.items():
        values = [value for name, value in moved.items() if kind in name]
        assert len(values) == count and values == sorted(values)
        assert values[-1] > 2 * moved["as they are"]


def test_blur_is_a_gaussian():
    images = np.random.RandomState(0).randint(0, 256, (2, 16, 12, 3)).astype(np.uint8)
    expected = ndimage.gaussian_filter(
        images.astype(float), (0, 1.0, 1.0, 0), mode="nearest", truncate=3.0
    )
    found = module._blurred(images, 1.0).astype(float)
    assert np.abs(found - expected).max() < 0.51
