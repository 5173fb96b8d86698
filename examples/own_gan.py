"""A GAN of your own: two networks, `model.fit`, and a picture after each epoch.

python -m examples.own_gan            # 10 epochs of 5,000 digits
python -m examples.own_gan --small    # a few steps, to see that it runs
"""

import sys
from pathlib import Path

import keras
from keras import layers

from sn_keras import SpectralNormalization
from training import GAN
from training.data import load

SMALL = "--small" in sys.argv
WIDTH = 8 if SMALL else 32

# The generator turns a latent vector into an image with values in [−1, 1].
generator = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(8 * 8 * 2 * WIDTH),
        layers.Reshape((8, 8, 2 * WIDTH)),
        layers.Conv2DTranspose(2 * WIDTH, 4, strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2DTranspose(WIDTH, 4, strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(1, 3, padding="same", activation="tanh"),
    ]
)

# The discriminator turns an image into a logit. Each of its kernels is normalized.
discriminator = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        SpectralNormalization(layers.Conv2D(WIDTH, 4, strides=2, padding="same")),
        layers.LeakyReLU(negative_slope=0.1),
        SpectralNormalization(layers.Conv2D(2 * WIDTH, 4, strides=2, padding="same")),
        layers.LeakyReLU(negative_slope=0.1),
        SpectralNormalization(layers.Conv2D(4 * WIDTH, 4, strides=2, padding="same")),
        layers.LeakyReLU(negative_slope=0.1),
        layers.Flatten(),
        SpectralNormalization(layers.Dense(1)),
    ]
)


class SavePictures(keras.callbacks.Callback):
    """Writes 16 generated images in a row after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        images = self.model.generate(16)
        row = keras.ops.concatenate(list(images), axis=1)
        keras.utils.save_img(f"own-gan/epoch-{epoch + 1:02d}.png", row)


Path("own-gan").mkdir(exist_ok=True)
source = load("mnist5k", image_size=32)
images = source.images[: 128 if SMALL else None].astype("float32") / 127.5 - 1

gan = GAN(generator, discriminator, latent_dim=64, discriminator_steps=1)
gan.compile(
    generator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
    discriminator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
    loss="hinge",
)
gan.fit(
    images,
    batch_size=64,
    epochs=1 if SMALL else 10,
    callbacks=[SavePictures()],
    verbose=0 if SMALL else "auto",
)
gan.save("own-gan/gan.keras")
print("Pictures and the model are in own-gan/.")
