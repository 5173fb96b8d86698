"""Intra-FID and intra MS-SSIM: closed forms, and collapse shows."""

import numpy as np
import pytest
import tensorflow as tf

from tests.training.evaluation import formulas
from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.intra_frechet_distance import intra_frechet_distance
from training.evaluation.scores.ms_ssim import intra_ms_ssim, ms_ssim, scales_of


def test_intra_distance_is_the_mean_of_the_classes():
    random = np.random.RandomState(0)
    real, fake = random.normal(size=(2, 90, 4))
    labels = np.arange(90) % 3
    score = intra_frechet_distance(real, labels, fake, labels)
    for label in range(3):
        part = labels == label
        assert score.by_class[label] == frechet_distance(real[part], fake[part])
    assert score.mean == pytest.approx(sum(score.by_class.values()) / 3)


def test_intra_distance_refuses_other_classes_and_labels():
    x = np.random.RandomState(0).normal(size=(6, 2))
    with pytest.raises(ValueError, match=r"one side alone: \[2\]"):
        intra_frechet_distance(x, [0, 0, 1, 1, 2, 2], x, [0, 0, 0, 1, 1, 1])
    with pytest.raises(TypeError, match="`fake_labels` must hold integers"):
        intra_frechet_distance(x, [0] * 6, x, [0.5] * 6)
    with pytest.raises(ValueError, match=r"shape \(6,\)"):
        intra_frechet_distance(x, [0] * 6, x, [0] * 5)


def test_ms_ssim_of_flat_images_is_the_luminance_term():
    """Contrast and structure are 1; luminance (2ab + c)/(a² + b² + c), coarsest scale.

    At 32 px two scales fit, weighted 0.0448 and 0.2856, so its exponent is
    0.2856/0.3304.
    """
    a, b, c = 100.0, 160.0, (0.01 * 255) ** 2
    first, second = (np.full((1, 32, 32, 3), v, np.uint8) for v in (a, b))
    luminance = (2 * a * b + c) / (a * a + b * b + c)
    expected = luminance ** (0.2856 / (0.2856 + 0.0448))
    assert ms_ssim(first, second)[0] == pytest.approx(expected, rel=1e-12)


def test_ms_ssim_of_equal_images_is_one():
    images = np.random.RandomState(0).randint(0, 256, (4, 28, 28, 1)).astype("uint8")
    np.testing.assert_allclose(ms_ssim(images, images), 1.0, rtol=1e-12)


@pytest.mark.parametrize(("size", "scales"), [((48, 33), 2), ((32, 45), 2)])
def test_ms_ssim_equals_tensorflow(size, scales):
    """TensorFlow's is float32. Odd sides are lengthened before they are halved."""
    first = formulas.images(1, 5, *size)
    second = np.clip(first * 0.8 + formulas.images(2, 5, *size) * 0.3, 0, 255)
    second = second.astype("uint8")
    weights = np.array([0.0448, 0.2856, 0.3001])[:scales]
    expected = tf.image.ssim_multiscale(
        first, second, 255, tuple(weights / weights.sum())
    )
    np.testing.assert_allclose(ms_ssim(first, second), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("size", "scales"),
    [(10, 0), (11, 1), (28, 2), (32, 2), (41, 3), (128, 4), (161, 5)],
)
def test_scales_fit_the_window(size, scales):
    assert scales_of((size, size + 3, 3)) == scales


def test_intra_ms_ssim_shows_collapse_of_one_class():
    random = np.random.RandomState(0)
    varied = random.randint(0, 256, (20, 32, 32, 1)).astype("uint8")
    images = np.concatenate([varied, np.repeat(varied[:1], 20, axis=0)])
    score = intra_ms_ssim(images, np.repeat([3, 7], 20), pairs=30)
    assert score.by_class[7] == pytest.approx(1.0, abs=1e-5)
    assert score.by_class[3] < 0.2
    assert score.mean == pytest.approx(sum(score.by_class.values()) / 2)


def test_intra_ms_ssim_refuses():
    images = np.zeros((4, 32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="one of class 1"):
        intra_ms_ssim(images, [0, 0, 0, 1])
    with pytest.raises(ValueError, match="at least 11 px"):
        intra_ms_ssim(images[:, :8])
    with pytest.raises(TypeError, match=r"uint8.*values from -1 to 1"):
        intra_ms_ssim(np.linspace(-1, 1, images.size).reshape(images.shape))
