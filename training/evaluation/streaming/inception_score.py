"""The Inception score as a metric that streams."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training import values
from training.evaluation.scores.inception_score import MeanAndDeviation, score_of_sums
from training.evaluation.streaming.gathering import check_finite, gather_rows


class InceptionScore(keras.metrics.Metric):
    """Inception score of a stream of logits, in splits of a fixed size.

    Row i belongs to split ⌊i / split_size⌋; a split keeps Σ p(y|x), Σ p log p and its
    count, from which its score follows exactly. Rows beyond the last split are an
    error in eager mode and not counted in a graph.

    State: `counts` (splits,), `probabilities` (splits, classes), `entropies` (splits,),
    all float64, on every replica the same.

    Args:
        classes: number of classes.
        splits: number of splits. Defaults to 10.
        split_size: images a split. Defaults to 5,000, the paper's.
        name: name of the metric. Defaults to `"inception_score"`.

    Example:

    ```python
    metric = InceptionScore(classes=2, splits=1, split_size=4)
    metric.update_state(np.array([[50.0, -50.0], [-50.0, 50.0]]))
    assert float(metric.result()) == 2.0
    ```
    """

    def __init__(
        self,
        classes: int,
        splits: int = 10,
        split_size: int = 5000,
        name: str = "inception_score",
    ) -> None:
        super().__init__(name=name, dtype="float64")
        self.classes = values.integer("classes", classes)
        self.splits = values.integer("splits", splits)
        self.split_size = values.integer("split_size", split_size)
        self.counts = self._state("counts", (splits,))
        self.probabilities = self._state("probabilities", (splits, classes))
        self.entropies = self._state("entropies", (splits,))

    def _state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_variable(
            shape,
            "zeros",
            dtype="float64",
            aggregation="only_first_replica",
            name=name,
        )

    def update_state(self, logits: Any, sample_weight: None = None) -> None:
        """Adds a batch of logits, shape (n, classes).

        Raises:
            ValueError: if the shape isn't (n, classes), a value is not finite, weights
                are given, or the splits are full.
        """
        if sample_weight is not None:
            raise ValueError("`sample_weight` must be None. Received: weights")
        logits = tf.convert_to_tensor(logits)
        if logits.shape.rank != 2 or logits.shape[1] != self.classes:
            raise ValueError(
                f"`logits` must have the shape (images, {self.classes}). "
                f"Received: shape={tuple(logits.shape)}"
            )
        rows = tf.cast(gather_rows(check_finite(logits, "logits")), tf.float64)
        seen = tf.cast(tf.reduce_sum(tf.convert_to_tensor(self.counts)), tf.int64)
        index = (seen + tf.range(tf.shape(rows, tf.int64)[0])) // self.split_size
        if tf.executing_eagerly() and len(rows) and int(index[-1]) >= self.splits:
            raise ValueError(
                f"`logits` must be at most {self.splits} × {self.split_size} in all. "
                f"Received: {int(seen) + len(rows)}"
            )
        # (splits, n): which row belongs to which split.
        member = tf.one_hot(index, self.splits, axis=0, dtype=tf.float64)
        log_p = tf.nn.log_softmax(rows)
        p = tf.exp(log_p)
        negative_entropy = tf.reduce_sum(p * log_p, axis=1)
        self.counts.assign(self.counts + tf.reduce_sum(member, axis=1))
        self.probabilities.assign(self.probabilities + member @ p)
        self.entropies.assign(
            self.entropies + tf.linalg.matvec(member, negative_entropy)
        )

    def merge_state(self, metrics: list[InceptionScore]) -> None:
        """Adds what other metrics have seen, split by split."""
        for metric in metrics:
            for mine, other in zip(self.variables, metric.variables, strict=True):
                mine.assign(mine + other.numpy())

    def mean_and_deviation(self) -> MeanAndDeviation:
        """Returns mean and deviation over the splits that hold images."""
        scores = [
            score_of_sums(int(count), p, float(entropy))
            for count, p, entropy in zip(
                self.counts.numpy(),
                self.probabilities.numpy(),
                self.entropies.numpy(),
                strict=True,
            )
            if count
        ]
        if not scores:
            return MeanAndDeviation(float("nan"), float("nan"))
        return MeanAndDeviation(float(np.mean(scores)), float(np.std(scores)))

    def result(self) -> tf.Tensor:
        """Returns the mean over the splits that hold images, float64."""
        counts = tf.convert_to_tensor(self.counts)
        marginals = tf.math.divide_no_nan(
            tf.convert_to_tensor(self.probabilities), counts[:, None]
        )
        divergence = tf.math.divide_no_nan(tf.convert_to_tensor(self.entropies), counts)
        divergence -= tf.reduce_sum(tf.math.xlogy(marginals, marginals), axis=1)
        full = tf.cast(counts > 0, tf.float64)
        return tf.reduce_sum(tf.exp(divergence) * full) / tf.reduce_sum(full)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "classes": self.classes,
            "splits": self.splits,
            "split_size": self.split_size,
            "name": self.name,
        }
