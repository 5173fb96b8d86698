"""A GAN that runs by the faster forms has the weights of one that doesn't."""

import keras
import numpy as np
import pytest

from training import GAN, fast
from training.networks import cnn
from training.normalizers import NORMALIZERS

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 28, 28, 1)).astype("float32")


@pytest.mark.parametrize(
    ("normalizer", "steps", "options"),
    [
        ("spectral", 20, {"loss": "hinge"}),
        # With batch norm of so few images in D, a difference grows tenfold a step.
        ("batch-norm", 3, {"loss": "standard"}),
        ("none", 20, {"loss": "wasserstein", "gradient_penalty": 10.0}),
    ],
)
def test_the_same_weights(monkeypatch, normalizer, steps, options):
    def compiled():
        keras.utils.set_random_seed(0)
        size = {"image_shape": (28, 28, 1), "width_multiplier": 1 / 16}
        gan = GAN(
            cnn.generator(latent_dim=8, **size),
            cnn.discriminator(normalizer=NORMALIZERS[normalizer], **size),
            latent_dim=8,
            discriminator_steps=1,
        )
        # By gradient descent: Adam divides by gradients that are rounding alone.
        gan.compile(keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3), **options)
        return gan

    fused = compiled()
    monkeypatch.setattr(fast, "use", lambda network, optimizer: None)
    plain = compiled()
    for gan, expected in ((fused, True), (plain, False)):
        layers = gan.generator._flatten_layers()
        assert any("call" in vars(layer) for layer in layers) is expected
    before = [weight.numpy() for weight in plain.trainable_weights]
    for _ in range(steps):
        fused.train_on_batch(IMAGES)
        plain.train_on_batch(IMAGES)
    for got, wanted in zip(fused.weights, plain.weights, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-5, atol=5e-6)
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
