"""Twenty steps of a small GAN with all that could make replicas differ.

`python -m tests.training.gan.twenty_steps FOLDER` takes them as the worker
that TF_CONFIG says it is, and writes what it ends with, as it is on this worker.
"""

import json
import os
import sys

import keras
import numpy as np
from keras import layers

from sn_keras import SpectralNormalization
from training import GAN
from training.devices import strategies

STEPS, BATCH, UPDATES, LATENT, SIZE, SEED = 20, 8, 2, 5, 8, 3


def networks():
    latents = keras.Input((LATENT,))
    # Without biases before batch norm: their gradient is rounding alone, which Adam
    # would make as large as any other.
    x = layers.Dense(4 * 4 * 6, use_bias=False)(latents)
    x = layers.BatchNormalization(synchronized=True)(x)
    x = layers.Reshape((4, 4, 6))(layers.Activation("tanh")(x))
    x = layers.Conv2DTranspose(1, 4, strides=2, padding="same")(x)
    generator = keras.Model(latents, layers.Activation("tanh")(x))
    images = keras.Input((SIZE, SIZE, 1))
    x = SpectralNormalization(layers.Conv2D(6, 3, strides=2), name="conv")(images)
    x = layers.Flatten()(layers.Activation("tanh")(x))
    logits = SpectralNormalization(layers.Dense(1), name="dense")(x)
    return generator, keras.Model(images, logits)


def train(strategy):
    """Returns the GAN after the steps."""
    random = np.random.default_rng(0)
    shape = (STEPS * UPDATES * BATCH, SIZE, SIZE, 1)
    images = random.uniform(-1, 1, shape).astype("float32")
    with strategy.scope():
        keras.utils.set_random_seed(SEED)
        gan = GAN(*networks(), latent_dim=LATENT, discriminator_steps=UPDATES)
        rates = [keras.optimizers.Adam(0.002, 0.5, 0.9) for _ in range(2)]
        gan.compile(*rates, loss="standard", gradient_penalty=10.0)
    gan.fit(images, batch_size=BATCH, shuffle=False, verbose=0)
    return gan


def numbers(gan):
    """Returns all variables of both networks, as this worker has them."""
    return {
        # Not by path: Keras counts layers of a kind over the whole process.
        f"{name} {number} {variable.name}": np.asarray(variable.value.numpy())
        for name in ("generator", "discriminator")
        for number, variable in enumerate(getattr(gan, name).variables)
    }


if __name__ == "__main__":
    worker = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    gan = train(strategies.create_strategy("multi-worker"))
    np.savez(f"{sys.argv[1]}/worker-{worker}.npz", **numbers(gan))
