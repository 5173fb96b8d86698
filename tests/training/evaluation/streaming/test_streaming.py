"""Streaming metrics: equal to the one-shot scores, however the images are spread."""

import numpy as np
import pytest
import tensorflow as tf

from tests.training.evaluation import formulas
from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.inception_score import inception_score
from training.evaluation.streaming import FrechetDistance, InceptionScore

REAL = formulas.features(1, 700, 24)
FAKE = formulas.features(2, 600, 24, spread=0.8, shift=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("batch", [1, 64, 600])
def test_frechet_distance_equals_one_shot(batch, compiled):
    metric = FrechetDistance(REAL, name="FID")
    update = tf.function(metric.update_state) if compiled else metric.update_state
    for start in range(0, 600, batch):
        update(tf.constant(FAKE[start : start + batch]))
        if compiled and start > 100:
            metric.update_state(FAKE[start + batch :])
            break
    assert float(metric.result()) == pytest.approx(frechet_distance(REAL, FAKE), 1e-10)
    in_graph = tf.function(lambda: metric.result())
    assert float(in_graph()) == float(metric.result())


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_shards_merge_to_one_shot(shards):
    distances = [FrechetDistance(REAL) for _ in range(shards)]
    scores = [InceptionScore(12, splits=1, split_size=600) for _ in range(shards)]
    logits = formulas.logits(4, 600, 12)
    for index in range(shards):
        distances[index].update_state(FAKE[index::shards])
        scores[index].update_state(logits[index::shards])
    distances[0].merge_state(distances[1:])
    scores[0].merge_state(scores[1:])
    expected = frechet_distance(REAL, FAKE)
    assert float(distances[0].result()) == pytest.approx(expected, rel=1e-10)
    expected = inception_score(logits, splits=1).mean
    assert float(scores[0].result()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_two_replicas_with_unequal_batches_equal_one(two_replicas):
    """The last batch of a data set is rarely the same on both replicas."""
    logits = formulas.logits(4, 600, 12)
    with two_replicas.scope():
        distance = FrechetDistance(REAL)
        score = InceptionScore(12, splits=2, split_size=300)

    @tf.function
    def step(features, predictions):
        def update(x, y):
            distance.update_state(x)
            score.update_state(y)

        two_replicas.run(update, (features, predictions))

    for start, middle, stop in ((0, 200, 400), (400, 500, 550), (550, 597, 600)):

        def part(values, parts=((start, middle), (middle, stop))):
            return two_replicas.experimental_distribute_values_from_function(
                lambda context: tf.constant(
                    values[slice(*parts[context.replica_id_in_sync_group])]
                )
            )

        step(part(FAKE), part(logits))
    assert distance.statistics().count == 600
    expected = frechet_distance(REAL, FAKE)
    assert float(distance.result()) == pytest.approx(expected, rel=1e-10)
    expected = inception_score(logits, splits=2)
    assert score.mean_and_deviation() == pytest.approx(expected, rel=1e-12)
    for variable in distance.variables:
        first, second = two_replicas.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [7, 100, 1000])
def test_inception_score_equals_one_shot_over_splits(batch):
    logits = formulas.logits(4, 1000, 12)
    metric = InceptionScore(12, splits=10, split_size=100)
    for start in range(0, 1000, batch):
        metric.update_state(logits[start : start + batch])
    expected = inception_score(logits, splits=10)
    assert metric.mean_and_deviation() == pytest.approx(expected, rel=1e-12)
    assert float(metric.result()) == pytest.approx(expected.mean, rel=1e-12)
    with pytest.raises(ValueError, match="at most 10 × 100 in all. Received: 1001"):
        metric.update_state(logits[:1])
    metric.reset_state()
    assert np.isnan(metric.mean_and_deviation().mean)


def test_frechet_distance_is_stable_far_from_zero():
    shift = 1e5
    metric = FrechetDistance(REAL + shift)
    for start in range(0, 600, 50):
        metric.update_state(FAKE[start : start + 50] + shift)
    expected = frechet_distance(REAL, FAKE)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_state_is_small_and_in_float64():
    metric = FrechetDistance(REAL)
    assert sum(int(np.prod(v.shape)) for v in metric.variables) == 24 * 24 + 24 + 1
    assert {v.dtype for v in metric.variables} == {"float64"}
    metric.update_state(tf.constant(FAKE, tf.float32))
    assert metric.result().dtype == tf.float64
    metric.reset_state()
    assert np.isnan(float(metric.result()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric",
    [FrechetDistance(REAL), InceptionScore(24)],
    ids=lambda metric: metric.name,
)
def test_refuses(metric):
    with pytest.raises(ValueError, match="shape"):
        metric.update_state(FAKE[:, :5])
    with pytest.raises(ValueError, match="must be finite"):
        metric.update_state(np.full((3, 24), np.nan))
    with pytest.raises(ValueError, match="`sample_weight` must be None"):
        metric.update_state(FAKE, np.ones(600))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be finite"):
        tf.function(metric.update_state)(tf.constant(np.full((3, 24), np.inf)))
