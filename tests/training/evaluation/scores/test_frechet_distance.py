"""The Fréchet distance against torch-fidelity and closed forms."""

import numpy as np
import pytest

from tests.training.evaluation import formulas
from training.evaluation.scores.frechet_distance import (
    frechet_distance,
    gaussian_distance,
)
from training.evaluation.scores.statistics import gaussian_statistics


def test_equals_torch_fidelity(reference):
    real = formulas.features(1, 700, 24)
    fake = formulas.features(2, 600, 24, spread=0.8, shift=0.1)
    expected = reference["features"]["frechet"]
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    # Features as networks give them.
    narrow = frechet_distance(real.astype("float32"), fake.astype("float32"))
    assert narrow == pytest.approx(expected, rel=1e-6)


def test_equals_torch_fidelity_on_fewer_images_than_features(reference):
    few, fake = formulas.features(3, 15, 24), formulas.features(2, 600, 24, 0.8, 0.1)
    with pytest.warns(UserWarning, match="`real` has 15 images for 24 features"):
        score = frechet_distance(few, fake)
    assert score == pytest.approx(reference["features"]["frechet_few"], rel=1e-6)


def test_closed_form_of_commuting_covariances():
    """Diagonal: ‖Δμ‖² + Σ (√a − √b)² = 9 + 1 + 4 + 0."""
    a, b = np.diag([4.0, 9.0, 1.0]), np.diag([1.0, 1.0, 1.0])
    distance = gaussian_distance([0, 0, 0], a, [0, 3, 0], b)
    assert distance == pytest.approx(14.0, rel=1e-14)
    # A common rotation changes nothing.
    q, _ = np.linalg.qr(np.random.RandomState(0).normal(size=(3, 3)))
    rotated = gaussian_distance([0, 0, 0], q @ a @ q.T, q @ [0, 3, 0], q @ b @ q.T)
    assert rotated == pytest.approx(14.0, rel=1e-13)


def test_closed_form_of_two_by_two_covariances():
    """Tr (Σ₁Σ₂)^½ = √(Tr Σ₁Σ₂ + 2√det Σ₁Σ₂) in two dimensions."""
    a = np.array([[2.0, 0.7], [0.7, 1.0]])
    b = np.array([[0.5, -0.3], [-0.3, 3.0]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * root
    assert gaussian_distance([0, 0], a, [0, 0], b) == pytest.approx(expected, rel=1e-13)


def test_singular_covariances():
    """Rank one against rank one: |a|² + |b|² − 2|aᵀb|, exactly."""
    random = np.random.RandomState(0)
    a, b = random.normal(size=(2, 40))
    expected = a @ a + b @ b - 2 * abs(a @ b)
    distance = gaussian_distance(0 * a, np.outer(a, a), 0 * b, np.outer(b, b))
    assert distance == pytest.approx(expected, rel=1e-12)
    zero = np.zeros((40, 40))
    one_point = gaussian_distance(0 * a, np.outer(a, a), b, zero)
    assert one_point == pytest.approx(a @ a + b @ b, rel=1e-14)
    assert gaussian_distance(a, zero, a, zero) == 0.0


def test_few_images_of_many_features_against_themselves():
    features = formulas.features(0, 20, 300)
    with pytest.warns(UserWarning):
        distance = frechet_distance(features, features)
    assert 0.0 <= distance < 1e-10 * np.trace(gaussian_statistics(features).covariance)


def test_grows_with_noise():
    features = formulas.features(0, 2000, 12)
    noise = np.random.RandomState(7).normal(size=features.shape)
    scores = [frechet_distance(features, features + s * noise) for s in (0, 0.2, 1, 3)]
    assert scores == sorted(scores)
    assert scores[0] < 1e-9 < 0.01 < scores[1]


def test_grows_as_classes_are_dropped():
    """Mode collapse: ten clusters, fewer and fewer of them generated."""
    centres = np.random.RandomState(0).normal(size=(10, 6)) * 4
    labels = np.arange(3000) % 10

    def cloud(seed):
        noise = np.random.RandomState(seed).normal(size=(3000, 6))
        return centres[labels] + noise

    real, fake = cloud(1), cloud(2)
    scores = [frechet_distance(real, fake[labels < keep]) for keep in (10, 7, 4, 1)]
    assert scores == sorted(scores)
    assert scores[1] > 10 * scores[0]


@pytest.mark.parametrize(
    ("fake", "error", "message"),
    [
        (np.ones((5, 3)), ValueError, "same number of features"),
        (np.ones((0, 2)), ValueError, "at least 2 rows"),
        (np.ones((1, 2)), ValueError, "at least 2 rows"),
        (np.ones((5, 2, 1)), ValueError, "shape"),
        (np.array([[1.0, 2.0], [np.nan, 0.0]]), ValueError, "nan in row 1, column 0"),
        (np.array([["a", "b"]]), TypeError, "real numbers"),
    ],
)
def test_refuses(fake, error, message):
    real = np.random.RandomState(0).normal(size=(9, 2))
    with pytest.raises(error, match=message):
        frechet_distance(real, fake)
