"""A GAN that runs by the faster forms has the weights of one that doesn't."""

import keras
import numpy as np
import pytest

from training import GAN, keras_private
from training.fast import layers
from training.fast.form import placed
from training.networks import cnn, resnet
from training.normalizers import NORMALIZERS

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 1)).astype("float32")


@pytest.fixture
def set_policy():
    """Sets the dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "normalizer", "steps", "rate", "options"),
    [
        (cnn, "spectral", 20, 1e-3, {"loss": "hinge"}),
        (resnet, "spectral", 20, 1e-3, {"loss": "hinge"}),
        # With batch norm of so few images in D, a difference grows tenfold a step.
        (cnn, "batch-norm", 3, 1e-3, {"loss": "standard"}),
        (cnn, "none", 20, 1e-3, {"loss": "wasserstein", "gradient_penalty": 10.0}),
        (resnet, "none", 20, 1e-6, {"loss": "wasserstein", "gradient_penalty": 10.0}),
    ],
)
def test_the_same_weights(set_policy, network, normalizer, steps, rate, options):
    # So deep a network makes of float32's rounding a difference of 1e-4 in 20 steps.
    policy, tolerance = {cnn: ("float32", 5e-6), resnet: ("float64", 1e-9)}[network]
    set_policy(policy)
    side = {cnn: 28, resnet: 32}[network]
    images = IMAGES[:, :side, :side]

    def compiled(fast):
        keras.utils.set_random_seed(0)
        size = {"image_shape": images.shape[1:], "width_multiplier": 1 / 16}
        gan = GAN(
            network.generator(latent_dim=8, **size),
            network.discriminator(normalizer=NORMALIZERS[normalizer], **size),
            latent_dim=8,
            discriminator_steps=1,
        )
        # By gradient descent: Adam divides by gradients that are rounding alone.
        gan.compile(
            keras.optimizers.SGD(rate), keras.optimizers.SGD(rate), fast=fast, **options
        )
        return gan

    fused, plain = compiled(fast=True), compiled(fast=False)
    before = [weight.numpy() for weight in plain.trainable_weights]
    for _ in range(steps):
        fused.train_on_batch(images)
        plain.train_on_batch(images)
    for got, wanted in zip(fused.weights, plain.weights, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=0, atol=tolerance)
    moved = [
        np.abs(weight.numpy() - old).max()
        for weight, old in zip(plain.trainable_weights, before, strict=True)
    ]
    assert max(moved) > 2e-4


def replaced(gan):
    """The layers and optimizers that have another method than their class'."""
    everything = [
        *keras_private.flatten_layers(gan.generator),
        *keras_private.flatten_layers(gan.discriminator),
        gan.generator_optimizer,
        gan.discriminator_optimizer,
    ]
    methods = {"call", "convolution_op", "update_step"}
    return [one.name for one in everything if methods & set(vars(one))]


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False])
def test_layers_are_others_in_a_step_alone(fast):
    during = []

    def look(images, at):
        during.append(replaced(gan))
        return images

    size = {"image_shape": (28, 28, 1), "width_multiplier": 1 / 64}
    gan = GAN(
        cnn.generator(latent_dim=8, **size),
        cnn.discriminator(**size),
        latent_dim=8,
        discriminator_steps=1,
    )
    gan.compile("adam", "adam", fast=fast, augmentation=look, run_eagerly=True)
    assert gan.get_compile_config()["fast"] is fast
    assert replaced(gan) == []
    gan.train_on_batch(IMAGES[:2, :28, :28])
    assert replaced(gan) == []
    for names in during:
        assert ("adam" in "".join(names)) is fast
        assert ("relu_" in "".join(names)) is fast
    assert len(during) == 3


def test_a_step_that_fails_leaves_the_layers_as_they_were():
    layer = keras.layers.LeakyReLU(0.1)
    with pytest.raises(KeyError), placed([layers.form(layer)]):
        assert "call" in vars(layer)
        raise KeyError
    assert "call" not in vars(layer)


def test_a_call_that_somebody_else_replaced_stays():
    layer = keras.layers.LeakyReLU(0.1)
    layer.call = mine = lambda inputs: inputs
    with placed([layers.form(layer), layers.form(layer)]):
        assert layer.call is mine
    assert layer.call is mine
