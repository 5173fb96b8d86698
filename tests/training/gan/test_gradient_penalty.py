"""The penalty against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.gan import gradient_penalty
from training.gan.gradient_penalty import GradientPenalty


def inputs(count=4, seed=0):
    random = np.random.default_rng(seed)
    shape = (count, 3, 3, 2)
    real, fake = (random.uniform(-1, 1, shape).astype("float32") for _ in range(2))
    mix = random.uniform(size=(count, 1, 1, 1)).astype("float32")
    return [tf.constant(x) for x in (real, fake, mix)]


def linear(kernel):
    return lambda images: tf.reshape(images, [images.shape[0], -1]) @ kernel


def test_of_a_linear_critic_it_is_that_of_its_norm():
    w = np.random.default_rng(1).normal(size=(18, 1))
    norm = np.linalg.norm(w)
    kernel = tf.Variable(w, dtype="float32")
    with tf.GradientTape() as tape:
        penalty = GradientPenalty(10.0)(linear(kernel), *inputs())
    np.testing.assert_allclose(penalty, 10 * (norm - 1) ** 2, rtol=1e-5)
    by_hand = 20 * (norm - 1) * w / norm
    np.testing.assert_allclose(tape.gradient(penalty, kernel), by_hand, rtol=1e-5)


def test_of_a_square_critic_it_is_taken_at_the_mixed_images():
    real, fake, mix = inputs()
    penalty = GradientPenalty(2.0, target=0.5)(
        lambda x: tf.reduce_sum(x**2, axis=[1, 2, 3])[:, None], real, fake, mix
    )
    mixed = mix * real + (1 - mix) * fake
    norms = 2 * np.linalg.norm(np.reshape(mixed, (4, -1)), axis=1)
    np.testing.assert_allclose(penalty, 2 * np.mean((norms - 0.5) ** 2), rtol=1e-5)


def test_a_flat_critic_has_finite_gradients():
    kernel = tf.Variable(tf.zeros([18, 1]))
    with tf.GradientTape() as tape:
        penalty = GradientPenalty(10.0)(linear(kernel), *inputs())
    np.testing.assert_allclose(penalty, 10.0, rtol=1e-4)
    assert np.isfinite(tape.gradient(penalty, kernel)).all()


def test_under_bfloat16_the_norm_is_summed_in_float32():
    # The squares of 4,096 pixels, each 2⁻¹², sum to 1; a bfloat16 sum stops at 2⁻⁴,
    # where adding 2⁻¹² changes nothing any more.
    policy = keras.DTypePolicy("mixed_bfloat16")
    ones = keras.initializers.Constant(2.0**-6)
    model = keras.Sequential(
        [
            keras.Input((64, 64, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, kernel_initializer=ones, dtype=policy),
        ]
    )
    images = tf.zeros([2, 64, 64, 1])
    penalty = GradientPenalty(10.0)(model, images, images, tf.ones([2, 1, 1, 1]))
    assert penalty.dtype == tf.float32
    np.testing.assert_allclose(penalty, 0.0, atol=1e-6)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "10"])
def test_weights_out_of_range_are_refused(value):
    with pytest.raises((ValueError, TypeError), match="Received: "):
        gradient_penalty.get(value)
    with pytest.raises(ValueError, match="`target`"):
        GradientPenalty(target=-1)


def test_numbers_are_weights():
    assert gradient_penalty.get(5) == GradientPenalty(5.0)
    assert gradient_penalty.get(None) is None
