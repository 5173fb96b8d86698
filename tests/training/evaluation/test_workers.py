"""Streaming metrics over two worker processes, each with its share of every batch."""

import sys

import pytest

from training.devices.launch import launch

WORKER = """
import json, os
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()

from tests.training.evaluation import formulas
from training.evaluation import frechet_distance, inception_score
from training.evaluation.streaming import FrechetDistance, InceptionScore

index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
real, logits = formulas.features(1, 700, 24), formulas.logits(4, 600, 12)
fake = formulas.features(2, 600, 24, spread=0.8, shift=0.1)
with strategy.scope():
    distance = FrechetDistance(real)
    score = InceptionScore(12, splits=2, split_size=300)

@tf.function
def step(features, predictions):
    def update(x, y):
        distance.update_state(x)
        score.update_state(y)
    strategy.run(update, (features, predictions))

for start, middle, stop in ((0, 200, 400), (400, 500, 550), (550, 597, 600)):
    share = slice(start, middle) if index == 0 else slice(middle, stop)
    step(tf.constant(fake[share]), tf.constant(logits[share]))
error = float(distance.result()) / frechet_distance(real, fake) - 1
score_error = score.mean_and_deviation().mean / inception_score(logits, 2).mean - 1
print("count", distance.statistics().count, "equal", abs(error) < 1e-10,
      abs(score_error) < 1e-10, flush=True)
"""


@pytest.mark.slow
def test_two_workers_with_unequal_shares_equal_one_shot(capfd):
    assert launch([sys.executable, "-c", WORKER], 2) == 0
    printed = capfd.readouterr().out
    assert printed.count("count 600 equal True True") == 2
