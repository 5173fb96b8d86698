"""The Fréchet distance as a metric that streams."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.statistics import (
    GaussianStatistics,
    gaussian_statistics,
)
from training.evaluation.streaming.gathering import check_finite, gather_rows


class FrechetDistance(keras.metrics.Metric):
    """Fréchet distance of generated features from fixed real ones, batch by batch.

    Invariant: the state is the count, mean and scatter of all rows seen, in float64, on
    every replica the same. Batches are merged by Chan's formula (see
    `GaussianStatistics`), so the result equals that of all features at once up to
    rounding, in O(d²) memory however many images.

    State: `count` (float64 scalar), `mean` (d,), `scatter` (d, d), all float64.

    Args:
        real: the real images' `GaussianStatistics`, or their features (n, d).
        name: name of the metric, such as the extractor's `scores.frechet`. Defaults to
            `"frechet_distance"`.

    Example:

    ```python
    random = np.random.RandomState(0)
    metric = FrechetDistance(random.normal(size=(500, 4)))
    for _ in range(5):
        metric.update_state(random.normal(size=(100, 4)) + 1.0)
    assert 3.5 < float(metric.result()) < 4.5
    ```

    Read the result outside of compiled steps: it costs O(d³), on the CPU, in LAPACK.
    """

    def __init__(
        self, real: GaussianStatistics | ArrayLike, name: str = "frechet_distance"
    ) -> None:
        super().__init__(name=name, dtype="float64")
        if not isinstance(real, GaussianStatistics):
            real = gaussian_statistics(real)
        self._real = real
        size = real.dimension
        self.count = self._state("count", ())
        self.mean = self._state("mean", (size,))
        self.scatter = self._state("scatter", (size, size))

    def _state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        # Every replica holds the same values, so the first's are the whole state.
        return self.add_variable(
            shape,
            "zeros",
            dtype="float64",
            aggregation="only_first_replica",
            name=name,
        )

    def update_state(self, features: Any, sample_weight: None = None) -> None:
        """Adds a batch of generated features, shape (n, d).

        Args:
            features: the batch of this replica. May be of another size each time.
            sample_weight: must be `None`: images count alike.

        Raises:
            ValueError: if the shape isn't (n, d), a value is not finite (in a graph:
                `InvalidArgumentError`), or weights are given.
        """
        if sample_weight is not None:
            raise ValueError("`sample_weight` must be None. Received: weights")
        features = tf.convert_to_tensor(features)
        if features.shape.rank != 2 or features.shape[1] != self._real.dimension:
            raise ValueError(
                f"`features` must have the shape (images, {self._real.dimension}). "
                f"Received: shape={tuple(features.shape)}"
            )
        rows = tf.cast(gather_rows(check_finite(features, "features")), tf.float64)
        added = tf.cast(tf.shape(rows)[0], tf.float64)
        mean = tf.math.divide_no_nan(tf.reduce_sum(rows, axis=0), added)
        centred = rows - mean
        self._merge(added, mean, tf.matmul(centred, centred, transpose_a=True))

    def _merge(self, added: Any, mean: Any, scatter: Any) -> None:
        count = self.count + added
        share = tf.math.divide_no_nan(added, tf.convert_to_tensor(count))
        delta = mean - tf.convert_to_tensor(self.mean)
        outer = delta[:, None] * delta[None, :] * (self.count * share)
        self.scatter.assign(self.scatter + scatter + outer)
        self.mean.assign(self.mean + delta * share)
        self.count.assign(count)

    def merge_state(self, metrics: list[FrechetDistance]) -> None:
        """Adds what other metrics have seen, such as other processes' shards."""
        for metric in metrics:
            other = metric.statistics()
            self._merge(float(other.count), other.mean, other.scatter)

    def statistics(self) -> GaussianStatistics:
        """Returns the generated features' statistics so far."""
        return GaussianStatistics(
            int(self.count.numpy()), self.mean.numpy(), self.scatter.numpy()
        )

    def result(self) -> tf.Tensor:
        """Returns the distance, float64; NaN before two images have been seen."""

        def distance(count: Any, mean: Any, scatter: Any) -> np.float64:
            if count < 2:
                return np.float64("nan")
            fake = GaussianStatistics(int(count), np.asarray(mean), np.asarray(scatter))
            return np.float64(frechet_distance(self._real, fake))

        values = [tf.convert_to_tensor(v) for v in self.variables]
        if tf.executing_eagerly():
            return tf.constant(distance(*(value.numpy() for value in values)))
        result = tf.numpy_function(distance, values, tf.float64)
        return tf.ensure_shape(result, ())

    def get_config(self) -> dict[str, Any]:
        """Not supported: the real statistics don't belong into a model's file."""
        raise NotImplementedError(
            "FrechetDistance holds the statistics of a data set and isn't saved with a "
            "model: make it anew."
        )
