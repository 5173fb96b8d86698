"""The ramped average of weights, against the recurrence by hand."""

import keras
import numpy as np
import pytest

from training import keras_private
from training.averaging import RampedAdam
from training.fast import adam


@pytest.mark.parametrize("momentum", [0.5, 0.99])
def test_the_momentum_grows_to_its_value(momentum):
    weight = keras.Variable(np.zeros(3, np.float32))
    optimizer = RampedAdam(0.1, use_ema=True, ema_momentum=momentum)
    optimizer.build([weight])
    average = np.zeros(3)
    for step in range(12):
        optimizer.apply([np.full(3, 1 - step / 4, np.float32)], [weight])
        now = min(momentum, step / (step + 9))
        average = now * average + (1 - now) * weight.numpy()
        ((_, found),) = keras_private.averages(optimizer)
        np.testing.assert_allclose(found.numpy(), average, rtol=1e-5)
    assert optimizer.ema_momentum == momentum


def test_a_config_makes_the_same_optimizer():
    optimizer = RampedAdam(0.1, use_ema=True, ema_momentum=0.9)
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is RampedAdam
    assert copy.get_config() == optimizer.get_config()


def test_it_has_the_fast_form_of_adam():
    assert adam.form(RampedAdam(0.1)).method == "update_step"
