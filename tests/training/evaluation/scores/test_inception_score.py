"""The Inception score against torch-fidelity and closed forms."""

import numpy as np
import pytest

from tests.training.evaluation import formulas
from training.evaluation.scores.inception_score import inception_score


@pytest.mark.parametrize(
    ("seed", "case"), [(None, "inception_score"), (2020, "inception_score_shuffled")]
)
def test_equals_torch_fidelity(reference, seed, case):
    score = inception_score(formulas.logits(4, 1003, 12), splits=10, seed=seed)
    expected = reference["features"][case]
    assert score.mean == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    deviation = expected["inception_score_std"]
    assert score.standard_deviation == pytest.approx(deviation, rel=1e-10)


def test_probabilities_give_what_logits_give():
    logits = formulas.logits(4, 500, 6)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = inception_score(logits, splits=5)
    assert inception_score(p, 5, from_logits=False) == pytest.approx(expected)


def test_closed_forms():
    """One class: 1. k classes, sure and in equal shares: k. Unsure of all: 1."""
    for classes in (2, 5):
        sure = np.eye(classes)[np.arange(100) % classes]
        assert inception_score(sure, 2, False).mean == pytest.approx(classes)
        collapsed = np.eye(classes)[np.zeros(100, int)]
        assert inception_score(collapsed, 2, False).mean == pytest.approx(1.0)
        unsure = np.full((100, classes), 1 / classes)
        assert inception_score(unsure, 2, False).mean == pytest.approx(1.0)


def test_large_logits_stay_finite():
    logits = np.array([[2e4, -2e4], [-2e4, 2e4]])
    assert inception_score(logits, 1).mean == pytest.approx(2.0)


def test_falls_as_classes_are_dropped():
    logits = 8.0 * np.eye(10)[np.arange(1000) % 10]
    labels = np.arange(1000) % 10
    scores = [inception_score(logits[labels < keep], 1).mean for keep in (10, 6, 3, 1)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("predictions", "splits", "message"),
    [
        (np.ones((3, 2)) / 2, 4, "at least 4 rows"),
        (np.array([[np.nan, 1.0]]), 1, "finite"),
        (np.array([[0.5, 0.6]]), 1, "sum to 1"),
        (np.array([[1.5, -0.5]]), 1, "sum to 1"),
        (np.ones((3, 2)) / 2, 0, "`splits` must be an integer of 1 or more"),
    ],
)
def test_refuses(predictions, splits, message):
    with pytest.raises(ValueError, match=message):
        inception_score(predictions, splits, from_logits=False)
