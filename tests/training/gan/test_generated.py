import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import toys
from training import GAN
from training.gan import generated


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_images_come_in_the_latents_order(as_tensor, batch_size):
    """Latents may be a tensor beside labels in an array, which Keras doesn't mix."""
    latents = keras.Input((2,))
    labels = keras.Input((), dtype="int32")
    scales = keras.layers.Embedding(3, 2, embeddings_initializer="ones")(labels)
    generator = keras.Model(
        [latents, labels], keras.layers.Multiply()([latents, scales])
    )
    z = np.random.RandomState(0).normal(size=(7, 2)).astype("float32")
    given = tf.constant(z) if as_tensor else z
    classes = np.arange(7, dtype="int32") % 3
    made = list(generated.images(generator, given, classes, batch_size))
    assert [len(one) for one in made[:-1]] == [batch_size] * (len(made) - 1)
    np.testing.assert_array_equal(np.concatenate(made), z)


def test_images_are_float32_whatever_the_generator_computes_in():
    latents = keras.Input((2,))
    generator = keras.Model(latents, keras.layers.ReLU(dtype="float16")(latents))
    (made,) = generated.images(generator, np.ones((3, 2), "float32"))
    assert made.dtype == np.float32


def test_the_average_before_the_first_step_is_the_generator():
    gan = GAN(toys.generator(), toys.discriminator())
    gan.compile(keras.optimizers.Adam(use_ema=True), "adam")
    for ours, own in zip(
        gan.averaged_generator().get_weights(), gan.generator.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, own)
