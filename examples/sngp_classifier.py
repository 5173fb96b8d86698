"""A classifier that knows where it has seen nothing (SNGP, Liu et al. 2020).

Residual blocks `x + 0.9 f(x)` of normalized layers keep distances: what is far from the
data stays far in the features. A Gaussian process in their place of the last layer,
here by random Fourier features and Laplace's approximation, then has a variance that
grows with the distance, and the probabilities go to a half. The same network without
the two is as sure far away as it is among the data.

    python -m examples.sngp_classifier          # draws sngp.png
    python -m examples.sngp_classifier --small
"""

import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops

from sn_keras import SpectralNormalization, lipschitz_bound

SMALL = "--small" in sys.argv
WIDTH, FEATURES, EPOCHS = 64, 256, 2 if SMALL else 60
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)


def two_moons(count):
    angle = random.uniform(0, np.pi, count)
    label = random.integers(0, 2, count)
    x = np.cos(angle) * (1 - 2 * label) + label
    y = np.sin(angle) * (1 - 2 * label) + label / 2
    points = np.stack([x, y], 1) + random.normal(scale=0.1, size=(count, 2))
    return points.astype("float32"), label.astype("float32")


def features(normalized):
    """Three residual blocks over a fixed embedding of the plane."""
    inputs = keras.Input((2,))
    embed = layers.Dense(
        WIDTH, use_bias=False, kernel_initializer="orthogonal", trainable=False
    )
    x = embed(inputs)
    for _ in range(3):
        dense = layers.Dense(WIDTH, activation="relu")
        block = SpectralNormalization(dense) if normalized else dense
        x = x + 0.9 * block(x) if normalized else x + block(x)
    return keras.Model(inputs, x)


def trained(network, head):
    model = keras.Sequential([keras.Input((2,)), network, *head])
    model.compile(
        keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    model.fit(points, labels[:, None], epochs=EPOCHS, batch_size=64, verbose=0)
    return model


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


points, labels = two_moons(1000)
ordinary = trained(features(normalized=False), [layers.Dense(1)])

fourier = layers.Dense(
    FEATURES,
    activation=lambda x: np.sqrt(2 / FEATURES) * ops.cos(x),
    kernel_initializer=keras.initializers.RandomNormal(stddev=2.0, seed=1),
    bias_initializer=keras.initializers.RandomUniform(0, 2 * np.pi, seed=2),
    trainable=False,
)
network = features(normalized=True)
process = trained(network, [fourier, layers.Dense(1, use_bias=False)])
bodies = keras.Sequential([network, fourier])

# Laplace: the posterior's precision is I / 100 + Σ p (1 − p) φ φᵀ, for a prior of
# variance 100 on each weight, which the training above has not held down.
phi = bodies.predict(points, verbose=0).astype("float64")
p = sigmoid(process.predict(points, verbose=0).astype("float64"))
covariance = np.linalg.inv(np.eye(FEATURES) / 100 + (phi * p * (1 - p)).T @ phi)


def probabilities(x):
    """Of both models; the process' logits are divided by √(1 + π/8 · variance)."""
    phi = bodies.predict(x, verbose=0).astype("float64")
    variance = np.sum(phi @ covariance * phi, axis=1, keepdims=True)
    logits = process.predict(x, verbose=0) / np.sqrt(1 + np.pi / 8 * variance)
    return sigmoid(ordinary.predict(x, verbose=0)), sigmoid(logits)


test, truth = two_moons(500)
angles = np.linspace(0, 2 * np.pi, 100)
far = (
    np.array([0.5, 0.25]) + 8 * np.stack([np.cos(angles), np.sin(angles)], 1)
).astype("float32")
for name, near, away in zip(
    ("ordinary", "SNGP"), probabilities(test), probabilities(far), strict=True
):
    right = np.mean((near[:, 0] > 0.5) == truth)
    sure = np.mean(np.maximum(away, 1 - away))
    print(f"{name}: accuracy {right:.1%}, confidence far from the data {sure:.1%}")
print(f"Lipschitz bound of SNGP's features: {lipschitz_bound(network):.2f}")

side = np.linspace(-6, 7, 40 if SMALL else 150)
plane = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype("float32")
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, title, values in zip(
    axes,
    ("ordinary classifier", "normalized features, Gaussian process"),
    probabilities(plane),
    strict=True,
):
    picture = ax.pcolormesh(
        side,
        side,
        values.reshape(len(side), -1),
        cmap="coolwarm",
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    ax.scatter(
        *points[::4].T, c=labels[::4], cmap="coolwarm", s=6, edgecolors="k", lw=0.2
    )
    ax.set(title=title, aspect="equal")
figure.colorbar(picture, ax=axes, label="probability of the one class")
figure.savefig("sngp.png", dpi=120)
print("Picture: sngp.png")
