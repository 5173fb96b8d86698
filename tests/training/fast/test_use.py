"""A GAN that runs by the faster forms has the weights of one that doesn't."""

import keras
import numpy as np
import pytest

from training import GAN, fast
from training.networks import cnn, resnet
from training.normalizers import NORMALIZERS

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 1)).astype("float32")


@pytest.fixture
def set_policy():
    """Sets the dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


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
def test_the_same_weights(
    monkeypatch, set_policy, network, normalizer, steps, rate, options
):
    # So deep a network makes of float32's rounding a difference of 1e-4 in 20 steps.
    policy, tolerance = {cnn: ("float32", 5e-6), resnet: ("float64", 1e-9)}[network]
    set_policy(policy)
    side = {cnn: 28, resnet: 32}[network]
    images = IMAGES[:, :side, :side]

    def compiled():
        keras.utils.set_random_seed(0)
        size = {"image_shape": images.shape[1:], "width_multiplier": 1 / 16}
        gan = GAN(
            network.generator(latent_dim=8, **size),
            network.discriminator(normalizer=NORMALIZERS[normalizer], **size),
            latent_dim=8,
            discriminator_steps=1,
        )
        # By gradient descent: Adam divides by gradients that are rounding alone.
        gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate), **options)
        return gan

    fused = compiled()
    monkeypatch.setattr(fast, "use", lambda network, optimizer: None)
    plain = compiled()
    for gan, expected in ((fused, True), (plain, False)):
        layers = gan.generator._flatten_layers()
        assert any("call" in vars(layer) for layer in layers) is expected
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


def test_a_file_has_no_trace_of_it(tmp_path):
    network = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16"),
            keras.layers.Conv2DTranspose(2, 3, dtype="mixed_bfloat16"),
            keras.layers.BatchNormalization(),
            keras.layers.LeakyReLU(0.1),
        ]
    )
    fast.use(network, keras.optimizers.Adam())
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for old, new in zip(network.layers, loaded.layers, strict=True):
        assert {"call", "convolution_op"} & set(vars(old))
        assert not {"call", "convolution_op"} & set(vars(new))
        assert type(new) is type(old)
