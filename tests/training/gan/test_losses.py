"""The losses against their formulas, also where those overflow."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.gan import losses

REAL = np.array([[2.0], [-0.5], [0.25]])
FAKE = np.array([[-3.0], [0.75], [1.5]])


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


BY_HAND = {
    "standard": (
        -log_sigmoid(REAL).mean() - log_sigmoid(-FAKE).mean(),
        -log_sigmoid(FAKE).mean(),
    ),
    "hinge": ((0 + 1.5 + 0.75) / 3 + (0 + 1.75 + 2.5) / 3, -FAKE.mean()),
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
}


@pytest.mark.parametrize("name", losses.LOSSES)
def test_values(name):
    loss = losses.get(name)
    real, fake = (keras.ops.convert_to_tensor(x, "float32") for x in (REAL, FAKE))
    found = float(loss.discriminator(real, fake)), float(loss.generator(fake))
    np.testing.assert_allclose(found, BY_HAND[name], rtol=1e-6)


def test_standard_loss_has_a_gradient_where_d_is_sure():
    fake = tf.constant([[-200.0]])
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss = losses.get("standard").generator(fake)
    assert float(loss) == 200.0
    assert float(tape.gradient(loss, fake)[0, 0]) == -1.0


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match=r"hinge.*standard.*wasserstein.*'least'"):
        losses.get("least")
    mine = losses.AdversarialLoss("mine", "", lambda r, f: r, lambda f: f)
    assert losses.get(mine) is mine
