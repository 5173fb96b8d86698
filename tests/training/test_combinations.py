"""Every normalizer with every loss and conditional form: two steps on real networks.

What the weights do is told by the mathematics. Where a kernel is run divided by its
norm (or each row by the row's), the loss doesn't change with the kernel's length, so
its gradient is orthogonal to the kernel, whatever the loss; by gradient descent so is
each change of the kernel. A wrapper that loses the gradient through the norm fails.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training import GAN
from training.networks import cnn
from training.normalizers import NORMALIZERS

LOSSES = {
    "hinge": {"loss": "hinge"},
    "standard": {"loss": "standard"},
    "wasserstein": {"loss": "wasserstein"},
    "wgan-gp": {"loss": "wasserstein", "gradient_penalty": 10.0},
    "gan-gp": {"loss": "standard", "gradient_penalty": 10.0},
}
FORMS = [None, "projection", "concat", "auxiliary"]
CLASSES = 3
DIVIDED = {"spectral", "weight-norm", "frobenius"}
DIVIDED |= {f"{name}-gamma" for name in DIVIDED}


def compiled(normalizer, loss, form):
    classes = None if form is None else CLASSES
    shape = {"image_shape": (28, 28, 1), "width_multiplier": 1 / 64}
    generator = cnn.generator(latent_dim=4, num_classes=classes, **shape)
    discriminator = cnn.discriminator(
        normalizer=NORMALIZERS[normalizer],
        num_classes=classes,
        conditioning=form,
        **shape,
    )
    gan = GAN(
        generator,
        discriminator,
        latent_dim=4,
        discriminator_steps=1,
        num_classes=classes,
    )
    gan.compile(
        keras.optimizers.SGD(0.05),
        keras.optimizers.SGD(0.05),
        run_eagerly=True,
        **LOSSES[loss],
    )
    return gan


def kernels(discriminator):
    return {w.path: w.numpy() for w in discriminator.weights if w.name == "kernel"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_two_steps(normalizer, loss, form):
    if normalizer == "batch-norm" and loss.endswith("gp"):
        with pytest.raises(ValueError, match="`gradient_penalty` must be None"):
            compiled(normalizer, loss, form)
        return
    gan = compiled(normalizer, loss, form)
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (4, 28, 28, 1)).astype("float32")
    images = tf.constant(images)
    labels = None if form is None else tf.constant([0, 1, 2, 0])
    for _ in range(2):
        before = kernels(gan.discriminator)
        generator_before = [w.numpy() for w in gan.generator.trainable_weights]
        gan.train_on_batch(images, labels)
        after = kernels(gan.discriminator)
        moved = [
            (w.numpy() != old).any()
            for w, old in zip(
                gan.generator.trainable_weights, generator_before, strict=True
            )
        ]
        changed = 0
        for path, old in before.items():
            change = after[path] - old
            length = np.linalg.norm(change)
            changed += length > 0
            if normalizer in DIVIDED and length > 0:
                cosine = np.sum(change * old) / (length * np.linalg.norm(old))
                # Rounding of the change: half a unit in the last place of the kernel.
                noise = 1e-7 * np.linalg.norm(old) / length
                assert abs(cosine) < 1e-4 + noise, path
            if normalizer == "weight-clipping" and "conv" in path:
                assert np.abs(after[path]).max() <= 0.01
        # Through seven kernels of at most 0.01 no gradient reaches the first layers.
        if normalizer != "weight-clipping":
            assert changed >= len(before) - 1
            assert any(moved)
    assert all(np.isfinite(w.numpy()).all() for w in gan.discriminator.weights)
