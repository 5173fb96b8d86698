"""Spectral normalization in an ordinary classifier.

A normalized network can't stretch a change of its input by more than its layers do:
`lipschitz_bound` says by how much. `fold` makes a plain Keras model of it to deploy.

    python -m examples.classifier
    python -m examples.classifier --small
"""

import sys

import keras
import numpy as np
from keras import layers

from sn_keras import SpectralNormalization, fold, lipschitz_bound
from training.data import load

SMALL = "--small" in sys.argv

source = load("mnist5k", image_size=28)
x = source.images.astype("float32") / 255
y = source.labels
train, test = (
    (slice(None, 256), slice(256, 512)) if SMALL else (slice(4000), slice(4000, None))
)

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Flatten(),
        SpectralNormalization(layers.Dense(128, activation="relu")),
        SpectralNormalization(layers.Dense(64, activation="relu")),
        SpectralNormalization(layers.Dense(10)),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    # Logits of a 1-Lipschitz network are small: a temperature makes them decisive.
    loss=lambda true, logits: keras.losses.sparse_categorical_crossentropy(
        true, 20 * logits, from_logits=True
    ),
    metrics=["sparse_categorical_accuracy"],
)
model.fit(x[train], y[train], epochs=1 if SMALL else 15, batch_size=64, verbose=0)

accuracy = model.evaluate(x[test], y[test], verbose=0)[1]
plain = fold(model)
difference = np.abs(plain.predict(x[:8], verbose=0) - model.predict(x[:8], verbose=0))
print(f"Accuracy on images it has not seen: {accuracy:.1%}")
print(f"Lipschitz bound: {lipschitz_bound(model):.3f}")
print(
    f"Folded model: {plain.count_params()} weights, differs by {difference.max():.1e}"
)
