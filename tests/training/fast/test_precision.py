"""The precision of a computation: for a while, and which one is fast here."""

import keras
import pytest
import tensorflow as tf

from training.fast import precision


@pytest.mark.parametrize(
    ("bfloat16", "faster"), [(0.5, True), (0.9, False), (2, False)]
)
def test_bfloat16_must_be_clearly_faster(bfloat16, faster, monkeypatch):
    seconds = {tf.float32: 1.0, tf.bfloat16: bfloat16}
    monkeypatch.setattr(precision, "_timed", lambda _, matrix: seconds[matrix.dtype])
    assert precision.bfloat16_is_faster(size=8) is faster


def test_a_trial_runs():
    assert precision.bfloat16_is_faster(size=64, rounds=2) in (True, False)


def test_a_policy_ends_with_its_scope():
    with pytest.raises(KeyError), precision.policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise KeyError
    assert keras.layers.Dense(1).compute_dtype == "float32"
