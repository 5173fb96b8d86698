"""Weight clipping."""

import json

import keras
import numpy as np
import pytest

from sn_keras import WeightClip


def test_entries_are_clipped_and_others_left():
    w = np.float32([[-1.0, -0.011, -0.01], [0.0, 0.005, 0.02]])
    clipped = keras.ops.convert_to_numpy(WeightClip(0.01)(w))
    want = np.float32([[-0.01, -0.01, -0.01], [0.0, 0.005, 0.01]])
    np.testing.assert_array_equal(clipped, want)


def test_the_optimizer_clips_after_its_step():
    layer = keras.layers.Dense(4, kernel_constraint=WeightClip(0.02))
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(10.0), "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(8, 3)), rng.normal(size=(8, 4)))
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert np.abs(kernel).max() == np.float32(0.02)
    assert np.abs(keras.ops.convert_to_numpy(layer.bias)).max() > 0.02


def test_config_round_trip():
    config = json.loads(json.dumps(keras.constraints.serialize(WeightClip(0.5))))
    again = keras.constraints.deserialize(config)
    assert isinstance(again, WeightClip) and again.c == 0.5
    assert WeightClip().c == 0.01


@pytest.mark.parametrize(
    ("c", "error"),
    [
        *((value, ValueError) for value in (0, -0.01, float("nan"))),
        *((value, TypeError) for value in ("0.01", None, True)),
    ],
)
def test_bad_bounds_are_named(c, error):
    with pytest.raises(error, match="`c` must be a number above 0. Received: c="):
        WeightClip(c)
