"""A discriminator that judges patches: its logits are a map, one a patch.

The loss is the mean over the positions, so that each patch counts alike (as in
PatchGAN). Nothing else changes.

    python -m examples.patch_discriminator
    python -m examples.patch_discriminator --small
"""

import sys

import keras
from keras import layers

from sn_keras import SpectralNormalization
from training import GAN
from training.data import load

SMALL = "--small" in sys.argv
WIDTH = 8 if SMALL else 32

generator = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(8 * 8 * 2 * WIDTH, activation="relu"),
        layers.Reshape((8, 8, 2 * WIDTH)),
        layers.Conv2DTranspose(WIDTH, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"),
    ]
)

# Two convolutions with a stride of 2: each logit sees a patch, of 10 × 10 pixels.
discriminator = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        SpectralNormalization(layers.Conv2D(WIDTH, 4, strides=2, padding="same")),
        layers.LeakyReLU(negative_slope=0.1),
        SpectralNormalization(layers.Conv2D(2 * WIDTH, 4, strides=2, padding="same")),
        layers.LeakyReLU(negative_slope=0.1),
        SpectralNormalization(layers.Conv2D(1, 1)),
    ]
)
print(f"Logits of shape {discriminator.output_shape}")

images = load("mnist5k", image_size=32).images[: 128 if SMALL else None]
gan = GAN(generator, discriminator, latent_dim=64, discriminator_steps=1)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
    discriminator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
    loss="hinge",
)
gan.fit(
    images.astype("float32") / 127.5 - 1,
    batch_size=64,
    epochs=1 if SMALL else 10,
    verbose=0 if SMALL else "auto",
)
row = keras.ops.concatenate(list(gan.generate(16)), axis=1)
keras.utils.save_img("patch-discriminator.png", row)
print("Picture: patch-discriminator.png")
