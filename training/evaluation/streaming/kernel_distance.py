"""The kernel distance as a metric that streams."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from training.evaluation.scores.checks import check_features
from training.evaluation.streaming.gathering import check_finite, gather_rows


class KernelDistance(keras.metrics.Metric):
    """Kernel (Inception) distance as the mean of unbiased estimates, one a batch.

    Each batch of m generated features is held against m real ones, taken in turn from a
    shuffled list, by the unbiased MMD² of `kernel_distance`; batches count by m. The
    mean has the same expectation as `kernel_distance` with any subset size (a block
    test: Zaremba, Gretton, Blaschko 2013), so the values differ by noise alone; larger
    batches make less of it. Under tf.distribute the batch is that of all replicas.

    State: `weighted_sum` and `count`, float64 scalars.

    Args:
        real: Real features, shape (n, d).
        name: Name of the metric. Defaults to `"kernel_distance"`.
        seed: Shuffles the real features. Defaults to 0.

    Example:
        >>> import numpy as np
        >>> random = np.random.RandomState(0)
        >>> metric = KernelDistance(random.normal(size=(500, 4)))
        >>> for _ in range(5):
        ...     metric.update_state(random.normal(size=(100, 4)))
        >>> abs(float(metric.result())) < 0.05
        True
    """

    def __init__(
        self, real: ArrayLike, name: str = "kernel_distance", seed: int = 0
    ) -> None:
        super().__init__(name=name, dtype="float64")
        features = check_features("real", real)
        order = np.random.RandomState(seed).permutation(len(features))
        self._real = tf.constant(features[order], tf.float64)
        self.weighted_sum = self._state("weighted_sum")
        self.count = self._state("count")

    def _state(self, name: str) -> keras.Variable:
        return self.add_variable(
            (), "zeros", dtype="float64", aggregation="only_first_replica", name=name
        )

    def update_state(self, features: Any, sample_weight: None = None) -> None:
        """Adds a batch of generated features, shape (n, d); one row alone is left out.

        Raises:
            ValueError: If the shape isn't (n, d), a value is not finite, weights are
                given, or the batch is larger than the real set.
        """
        if sample_weight is not None:
            raise ValueError("`sample_weight` must be None. Received: weights")
        features = tf.convert_to_tensor(features)
        size = self._real.shape[0]
        if features.shape.rank != 2 or features.shape[1] != self._real.shape[1]:
            raise ValueError(
                f"`features` must have the shape (images, {self._real.shape[1]}). "
                f"Received: shape={tuple(features.shape)}"
            )
        if (features.shape[0] or 0) > size:
            raise ValueError(
                f"`features` must have at most {size} rows, as many as there are real "
                f"ones. Received: shape={tuple(features.shape)}"
            )
        fake = tf.cast(gather_rows(check_finite(features, "features")), tf.float64)
        rows = tf.shape(fake, tf.int64)[0]
        start = tf.cast(tf.convert_to_tensor(self.count), tf.int64)
        real = tf.gather(self._real, (start + tf.range(rows)) % size)
        weight = tf.where(rows > 1, tf.cast(rows, tf.float64), 0.0)
        distance = _squared_mmd(real, fake)
        self.weighted_sum.assign(
            self.weighted_sum + tf.math.multiply_no_nan(distance, weight)
        )
        self.count.assign(self.count + weight)

    def result(self) -> tf.Tensor:
        """Returns the mean distance; 0 before the first batch."""
        return tf.math.divide_no_nan(
            tf.convert_to_tensor(self.weighted_sum), tf.convert_to_tensor(self.count)
        )


def _squared_mmd(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    size = tf.cast(tf.shape(real)[0], tf.float64)
    dimension = tf.cast(real.shape[1], tf.float64)

    def kernel(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return (tf.matmul(a, b, transpose_b=True) / dimension + 1.0) ** 3

    def without_diagonal(matrix: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(matrix) - tf.linalg.trace(matrix)

    within = without_diagonal(kernel(real, real)) + without_diagonal(kernel(fake, fake))
    return within / (size * (size - 1.0)) - 2.0 * tf.reduce_mean(kernel(real, fake))
