"""Inception score from logits or probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training import values
from training.evaluation.scores.score_inputs import check_features


class MeanAndDeviation(NamedTuple):
    """A score's mean over splits or subsets and its (population) deviation."""

    mean: float
    standard_deviation: float


def inception_score(
    predictions: ArrayLike,
    splits: int = 10,
    from_logits: bool = True,
    seed: int | None = None,
) -> MeanAndDeviation:
    """Inception score: how sure and how varied a classifier's answers are.

    exp( E_x KL(p(y|x) ‖ p(y)) ), p(y) = E_x p(y|x), over each of `splits` equal parts

    Args:
        predictions: logits (without the last bias, for the reference graph) or
            probabilities, shape (n, classes).
        splits: number of parts. The paper takes 10 parts of 5,000.
        from_logits: whether `predictions` are logits. Defaults to `True`.
        seed: shuffles the rows first, by numpy's `RandomState(seed)`, as
            torch-fidelity does with 2020. `None`, the default, keeps their order:
            generated images have none.

    Returns:
        `(mean, standard_deviation)` over the parts; 1 ≤ mean ≤ classes.

    Raises:
        TypeError: if the values aren't real numbers.
        ValueError: if there are fewer rows than splits, a value is not finite, or
            probabilities are negative or don't sum to 1.

    Example:

    ```python
    sure_and_varied = [[1.0, 0.0], [0.0, 1.0]]
    assert inception_score(sure_and_varied, splits=1, from_logits=False).mean == 2.0
    ```

    Source:
        Salimans et al., "Improved techniques for training GANs", 2016,
        arXiv 1606.03498, section 4.
    """
    splits = values.integer("splits", splits)
    predictions = check_features("predictions", predictions, minimum=splits)
    if seed is not None:
        order = np.random.RandomState(seed).permutation(len(predictions))
        predictions = predictions[order]
    bounds = [index * len(predictions) // splits for index in range(splits + 1)]
    scores = [
        score_of_sums(*prediction_sums(predictions[start:stop], from_logits))
        for start, stop in zip(bounds, bounds[1:], strict=False)
    ]
    return MeanAndDeviation(float(np.mean(scores)), float(np.std(scores)))


def prediction_sums(
    predictions: NDArray, from_logits: bool
) -> tuple[int, NDArray[np.float64], float]:
    """Returns n, Σ p(y|x) of shape (classes,), and Σ p(y|x) log p(y|x)."""
    values = predictions.astype(np.float64)
    if from_logits:
        values -= values.max(axis=1, keepdims=True)
        log_probabilities = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        probabilities = np.exp(log_probabilities)
        negative_entropy = float((probabilities * log_probabilities).sum())
    else:
        probabilities = values
        _check_probabilities(probabilities)
        negative_entropy = float(_x_log_x(probabilities).sum())
    return len(values), probabilities.sum(axis=0), negative_entropy


def score_of_sums(
    count: int, probability_sum: NDArray[np.float64], negative_entropy: float
) -> float:
    """Returns exp(Σ p log p / n − Σ q log q), q = Σ p / n."""
    marginal = np.asarray(probability_sum, np.float64) / count
    return float(np.exp(negative_entropy / count - _x_log_x(marginal).sum()))


def _x_log_x(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """x·log x with its limit 0 at x = 0."""
    return values * np.log(np.where(values > 0.0, values, 1.0))


def _check_probabilities(values: NDArray[np.float64]) -> None:
    # Float32 softmax over 1,008 classes sums to 1 within about 1e-6.
    worst = np.abs(values.sum(axis=1) - 1.0).max()
    if values.min() < 0.0 or worst > 1e-3:
        raise ValueError(
            "`predictions` must be probabilities (≥ 0, rows that sum to 1), or be "
            "passed with from_logits=True. Received: smallest value "
            f"{values.min():g}, a row sum {worst:g} away from 1"
        )
