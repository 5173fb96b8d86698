"""A classifier of digits with certificates: no change below a radius turns the answer.

If each logit's difference to the largest is more than `√2 L ε`, with `L` the Lipschitz
bound of the network, no change of the image of Euclidean length `ε` can make another
logit the largest one (Tsuzuku et al. 2018). An attack finds images that do turn, and
so a bound from the other side.

    python -m examples.certified_classifier
    python -m examples.certified_classifier --small
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from sn_keras import SpectralNormalization, fold, lipschitz_bound
from training.data import load

SMALL = "--small" in sys.argv
keras.utils.set_random_seed(0)

source = load("mnist5k", image_size=28)
x = source.images.astype("float32") / 255
y = source.labels
count = 256 if SMALL else 4000
train, test = slice(0, count), slice(count, 2 * count)

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Flatten(),
        SpectralNormalization(layers.Dense(256, activation="relu")),
        SpectralNormalization(layers.Dense(256, activation="relu")),
        SpectralNormalization(layers.Dense(10)),
    ]
)


def loss(true, logits):
    # Small logits, as the network stretches nothing: a temperature asks for margins.
    return keras.losses.sparse_categorical_crossentropy(
        true, 10 * logits, from_logits=True
    )


model.compile(keras.optimizers.Adam(2e-3), loss)
model.fit(x[train], y[train], epochs=1 if SMALL else 40, batch_size=64, verbose=0)
plain = fold(model)
bound = lipschitz_bound(plain)

logits = plain.predict(x[test], verbose=0)
truth = y[test]
rows = np.arange(len(truth))
own = logits[rows, truth]
others = logits.copy()
others[rows, truth] = -np.inf
radius = (own - others.max(axis=1)) / (np.sqrt(2) * bound)


def attacked(images, labels, epsilon, steps=20):
    """Climbs the loss within a ball around each image (projected gradient)."""
    start, moved = tf.constant(images), tf.constant(images)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(moved)
            value = tf.reduce_sum(loss(labels, plain(moved)))
        gradient = tape.gradient(value, moved)
        length = tf.sqrt(tf.reduce_sum(gradient**2, (1, 2, 3), keepdims=True)) + 1e-12
        change = moved + 0.25 * epsilon * gradient / length - start
        length = tf.sqrt(tf.reduce_sum(change**2, (1, 2, 3), keepdims=True)) + 1e-12
        moved = start + change * tf.minimum(1.0, epsilon / length)
    return moved.numpy()


print(f"Lipschitz bound: {bound:.4f}")
print(f"Accuracy on {len(truth)} images it has not seen: {np.mean(radius > 0):.1%}")
print("  ε     certified   right under attack")
for epsilon in (0.1, 0.25, 0.5, 1.0):
    images = attacked(x[test], truth, epsilon)
    survived = plain.predict(images, verbose=0).argmax(axis=1) == truth
    certified = radius > epsilon
    print(f"{epsilon:5.2f} {certified.mean():10.1%} {survived.mean():15.1%}")
    if np.any(certified & ~survived):
        sys.exit("An image was turned within its certified radius.")
