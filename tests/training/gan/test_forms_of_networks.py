"""Networks, losses and optimizers of other forms than the paper's."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.training import toys
from training import GAN, keras_private


def compiled(networks, *optimizers, **options):
    gan = GAN(*networks, discriminator_steps=1)
    optimizers = optimizers or (keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    gan.compile(*optimizers, run_eagerly=True, **options)
    return gan


def fit(gan, labels=None, images=8):
    gan.fit(toys.images(images), labels, batch_size=4, shuffle=False, verbose=0)
    return [w.numpy() for w in gan.generator.weights + gan.discriminator.weights]


def reshaped(form):
    images = keras.Input((toys.SIZE, toys.SIZE, 1))
    logit = layers.Dense(1, use_bias=False, name="d")(layers.Flatten()(images))
    if form == "flat":
        logit = layers.Reshape(())(logit)
    if form == "map":
        logit = layers.UpSampling2D((2, 3))(layers.Reshape((1, 1, 1))(logit))
    return keras.Model(images, logit)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["joint", "separate"])
def test_a_map_of_equal_logits_trains_as_one_logit_does(call):
    found = {}
    start = [w.numpy() for w in toys.generator().weights + reshaped("").weights]
    for form in ("", "flat", "map"):
        gan = GAN(
            toys.generator(),
            reshaped(form),
            discriminator_steps=1,
            discriminator_call=call,
        )
        gan.compile("sgd", "sgd", gradient_penalty=1.0, run_eagerly=True)
        gan.generator.set_weights(start[:1])
        gan.discriminator.set_weights(start[1:])
        found[form] = fit(gan)
    assert any((a != b).any() for a, b in zip(found[""], start, strict=True))
    for form in ("flat", "map"):
        for a, b in zip(found[form], found[""], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class OfLabels(keras.Model):
    """A subclassed D: takes labels, which nothing says."""

    def __init__(self, takes_labels):
        super().__init__()
        self.takes_labels = takes_labels
        self.flatten, self.dense = layers.Flatten(), layers.Dense(1)
        if takes_labels:
            self.embedding = layers.Embedding(3, 1)

    def call(self, inputs, training=None):
        if not self.takes_labels:
            return self.dense(self.flatten(inputs))
        images, labels = inputs
        return self.dense(self.flatten(images)) + self.embedding(labels)


@pytest.mark.slow
@pytest.mark.parametrize("takes_labels", [True, False])
def test_a_subclassed_discriminator(takes_labels):
    gan = compiled((toys.generator(3), OfLabels(takes_labels)))
    before = [np.array(one) for one in gan.discriminator.trainable_variables]
    fit(gan, np.arange(8) % 3)
    after = gan.discriminator.trainable_variables
    assert len(after) == (3 if takes_labels else 2)
    # But for the bias, whose gradient is that of as many real as generated images.
    moved = [(np.array(a) != b).any() for a, b in zip(after, before, strict=True)]
    assert moved.count(True) >= len(after) - 1


def test_latent_length_and_classes_are_read_off_the_networks():
    networks = (
        toys.generator(4),
        toys.discriminator(conditioning="projection", num_classes=4),
    )
    gan = GAN(*networks)
    assert (gan.latent_dim, gan.num_classes) == (toys.LATENT, 4)
    assert gan.get_config()["num_classes"] == 4
    assert GAN(toys.generator(), toys.discriminator()).num_classes is None
    x = layers.Dense(16)(
        layers.Concatenate()([a := keras.Input((3,)), b := keras.Input((1,))])
    )
    unknown = keras.Model([a, b], layers.Reshape((4, 4, 1))(x))
    with pytest.raises(ValueError, match="`num_classes` must be given"):
        GAN(unknown, toys.discriminator())


@keras.saving.register_keras_serializable(package="tests")
def least_squares_d(real, fake):
    return ops.mean((real - 1) ** 2) + ops.mean(fake**2)


@keras.saving.register_keras_serializable(package="tests")
def least_squares_g(fake):
    return ops.mean((fake - 1) ** 2)


@pytest.mark.slow
def test_a_loss_of_two_functions_is_saved_along(tmp_path):
    networks = toys.generator(), toys.discriminator()
    gan = compiled(networks, loss=(least_squares_d, least_squares_g))
    fit(gan)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for a, b in zip(fit(gan), fit(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_of_each_image_is_no_loss():
    networks = toys.generator(), toys.discriminator()
    gan = compiled(networks, loss=(least_squares_d, lambda fake: fake**2))
    with pytest.raises(ValueError, match=r"must be a scalar.*\(4, 1\)"):
        fit(gan)


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_micro_batches_have_latents_of_their_own(which):
    drawn = []

    def look(images, at):
        drawn.append(images.numpy().tobytes())
        return images

    optimizers = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)]
    optimizers[which] = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    gan = compiled(
        (toys.generator(), toys.discriminator()), *optimizers, augmentation=look
    )
    start = [w.numpy() for w in (*gan.generator.weights, *gan.discriminator.weights)]
    first = fit(gan, images=4)
    assert (first[which] == start[which]).all() and (
        first[1 - which] != start[1 - which]
    ).any()
    second = fit(gan, images=4)
    assert (second[which] != start[which]).any() and gan.step == 2
    assert len(set(drawn)) == len(drawn) - 1  # the same real images in both


@pytest.mark.slow
def test_float16_gets_loss_scaling_and_gives_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        networks = toys.generator(), toys.discriminator()
    finally:
        keras.config.set_dtype_policy("float32")
    average = keras.optimizers.Adam(0.01, use_ema=True)
    gan = compiled(networks, average, keras.optimizers.Adam(0.01))
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    fit(gan)
    assert gan.step == 2 and gan.generate(2).dtype == "float32"
    assert gan.averaged_generator() is not None
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.generator_optimizer.inner_optimizer.use_ema
    for a, b in zip(fit(gan), fit(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    gan = compiled(networks, auto_scale_loss=False)
    assert isinstance(gan.generator_optimizer, keras.optimizers.SGD)


@pytest.mark.slow
def test_what_is_frozen_has_no_average():
    latents = keras.Input((toys.LATENT,))
    x = layers.Dense(16, name="frozen")(layers.Dense(5, name="free")(latents))
    generator = keras.Model(latents, layers.Reshape((4, 4, 1))(x))
    average = keras.optimizers.SGD(0.1, use_ema=True)
    gan = compiled((generator, toys.discriminator()), average, "sgd")
    fit(gan)
    generator.get_layer("frozen").trainable = False
    averaged = gan.averaged_generator()
    assert len(keras_private.averages(average)) == 4
    for weight, mean in keras_private.averages(average):
        (name,) = [w.path for w in generator.weights if w is weight]
        (found,) = [w for w in averaged.weights if w.path == name]
        np.testing.assert_array_equal(found, mean)


@pytest.mark.slow
def test_numpy_numbers_are_numbers():
    one = np.int64(1)
    gan = GAN(toys.generator(), toys.discriminator(), np.int32(3), one, seed=one)
    gan.compile("sgd", "sgd", gradient_penalty=np.float32(10), steps_per_execution=one)
    gan.fit(toys.images(8), batch_size=np.int64(8), epochs=one, verbose=0)
    assert gan.step == 1 and len(gan.generate(np.uint8(2), seed=one)) == 2
    keras.saving.serialize_keras_object(gan)
