"""Precision, recall, density and coverage against their references."""

import numpy as np
import pytest

from tests.training.evaluation import formulas
from training.evaluation.scores.density_coverage import density_coverage
from training.evaluation.scores.precision_recall import precision_recall


@pytest.fixture(scope="module")
def pair():
    """The features that the references' scores were computed on."""
    real = formulas.features(1, 700, 24)
    return real, formulas.features(2, 600, 24, spread=0.8, shift=0.1)


def test_precision_and_recall_equal_torch_fidelity(pair, reference):
    expected = reference["features"]["precision_recall"]
    score = precision_recall(*pair)
    # The reference takes the mean in float32.
    assert score.precision == pytest.approx(expected["precision"], rel=1e-7)
    assert score.recall == pytest.approx(expected["recall"], rel=1e-7)


def test_all_four_equal_prdc(pair, reference):
    expected = reference["features"]["prdc_5"]
    score = density_coverage(*pair)
    assert score.density == pytest.approx(expected["density"], rel=1e-12)
    assert score.coverage == pytest.approx(expected["coverage"], rel=1e-12)
    score = precision_recall(*pair, neighbours=5)
    assert score.precision == pytest.approx(expected["precision"], rel=1e-12)
    assert score.recall == pytest.approx(expected["recall"], rel=1e-12)


def test_by_hand_on_a_line():
    """Real 0, 1, 2, 10 with k = 1: radii 1, 1, 1, 8. Generated 1.5, 1.6, 30."""
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    fake = np.array([[1.5], [1.6], [30.0]])
    # 1.5 is within 1 and 2 of the reals' balls; 10's ball reaches down to 2 exclusive.
    # Generated radii: 0.1, 0.1, 28.4: of the reals only 2 and 10 lie in 30's ball.
    assert precision_recall(real, fake, 1) == pytest.approx((2 / 3, 2 / 4))
    assert density_coverage(real, fake, 1) == pytest.approx((4 / 3, 2 / 4))


def test_blocks_make_no_difference(pair, monkeypatch):
    whole = precision_recall(*pair), density_coverage(*pair)
    monkeypatch.setattr("training.evaluation.scores.neighbours.BLOCK_ROWS", 97)
    assert (precision_recall(*pair), density_coverage(*pair)) == whole


def test_collapse_shows_in_recall_and_coverage():
    centres = np.random.RandomState(0).normal(size=(10, 4)) * 5
    labels = np.arange(1000) % 10
    noise = np.random.RandomState(1).normal(size=(2, 1000, 4))
    real, fake = centres[labels] + noise[0], centres[labels] + noise[1]
    kept = [fake[labels < keep] for keep in (10, 6, 2)]
    recall = [precision_recall(real, part).recall for part in kept]
    coverage = [density_coverage(real, part).coverage for part in kept]
    assert recall == sorted(recall, reverse=True) and recall[0] > recall[-1] + 0.5
    assert coverage == sorted(coverage, reverse=True)
    assert precision_recall(real, kept[-1]).precision > 0.9


def test_noise_shows_in_precision_and_density():
    real = formulas.features(1, 600, 6)
    noise = np.random.RandomState(7).normal(size=real.shape)
    noisy = [real + s * noise for s in (0.1, 1, 4)]
    precision = [precision_recall(real, part).precision for part in noisy]
    density = [density_coverage(real, part).density for part in noisy]
    assert precision == sorted(precision, reverse=True) and precision[-1] < 0.5
    assert density == sorted(density, reverse=True)


def test_refuses():
    x = np.random.RandomState(0).normal(size=(3, 2))
    with pytest.raises(ValueError, match="`real` must have at least 4 rows"):
        precision_recall(x, x)
    with pytest.raises(
        ValueError, match="`neighbours` must be an integer of 1 or more"
    ):
        density_coverage(x, x, 0)
