"""Networks small enough to be trained by hand."""

import keras
import numpy as np
from keras import layers

SIZE, LATENT = 4, 3


def generator(num_classes=None):
    latents = keras.Input((LATENT,), name="latents")
    x, inputs = latents, latents
    if num_classes is not None:
        labels = keras.Input((), dtype="int32", name="labels")
        x = layers.Add()([x, layers.Embedding(num_classes, LATENT)(labels)])
        inputs = [latents, labels]
    x = layers.Dense(SIZE * SIZE, use_bias=False, name="g")(x)
    return keras.Model(inputs, layers.Reshape((SIZE, SIZE, 1))(x), name="generator")


def discriminator(wrap=lambda layer: layer, conditioning=None, num_classes=None):
    images = keras.Input((SIZE, SIZE, 1), name="images")
    x = layers.Flatten()(images)
    logits = wrap(layers.Dense(1, use_bias=False, name="d"))(x)
    if conditioning == "auxiliary":
        class_logits = layers.Dense(num_classes, name="c")(x)
        outputs = {"logits": logits, "class_logits": class_logits}
        return keras.Model(images, outputs, name="discriminator")
    if conditioning == "projection":
        labels = keras.Input((), dtype="int32", name="labels")
        embedded = layers.Embedding(num_classes, SIZE * SIZE)(labels)
        logits = layers.Add()([logits, layers.Dot(axes=1)([embedded, x])])
        return keras.Model([images, labels], logits, name="discriminator")
    return keras.Model(images, logits, name="discriminator")


def images(count, seed=0):
    shape = (count, SIZE, SIZE, 1)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")
