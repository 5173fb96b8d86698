"""The precision that a network is built in."""

import keras
import pytest

from training.networks import precision


def test_a_policy_ends_with_its_scope():
    with pytest.raises(KeyError), precision.policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise KeyError
    assert keras.layers.Dense(1).compute_dtype == "float32"
