"""An invertible residual block (Behrmann et al. 2019).

`y = x + 0.9 f(x)` with `f` of Lipschitz constant 1 or less can be inverted: the map
`x ↦ y − 0.9 f(x)` is a contraction, and from any start its iterates come to the one `x`
that has this `y`, each at most 0.9 times as far from it as the one before.

    python -m examples.invertible_block
    python -m examples.invertible_block --small
"""

import sys

import keras
import numpy as np
from keras import layers

from sn_keras import SpectralNormalization, fold, lipschitz_bound

SMALL = "--small" in sys.argv
keras.utils.set_random_seed(0)

inputs = keras.Input((2,))
residual = keras.Sequential(
    [
        keras.Input((2,)),
        SpectralNormalization(layers.Dense(64, activation="relu")),
        SpectralNormalization(layers.Dense(64, activation="relu")),
        SpectralNormalization(layers.Dense(2)),
    ]
)
block = keras.Model(inputs, inputs + 0.9 * residual(inputs))

# Something to learn: to turn the plane by half a radian at the middle, less outside.
x = np.random.default_rng(0).normal(size=(2000, 2)).astype("float32")
angle = 0.5 * np.exp(-np.sum(x**2, axis=1))
cos, sin = np.cos(angle), np.sin(angle)
target = np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], 1)
block.compile(keras.optimizers.Adam(3e-3), "mse")
before = block.evaluate(x, target, verbose=0)
block.fit(x, target, epochs=2 if SMALL else 60, batch_size=100, verbose=0)
after = block.evaluate(x, target, verbose=0)
print(f"Mean squared error: {before:.4f} before training, {after:.4f} after")

for layer in residual.layers:
    layer.iterate(50)
# The exact spectral norms, not the power iteration's, say whether it contracts.
contraction = fold(
    keras.Sequential([keras.Input((2,)), residual, layers.Rescaling(0.9)])
)
bound = lipschitz_bound(contraction)
print(f"Lipschitz bound of the residual: {bound:.4f}, below 1: {bound < 1}")

y = block.predict(x, verbose=0)
inverse, previous, iterations = y, y + np.inf, 0
# A step of some length is at most bound / (1 − bound) of it away from the end.
while np.abs(inverse - previous).max() > 1e-6:
    previous, inverse = inverse, y - contraction.predict_on_batch(inverse)
    iterations += 1
    if iterations == 300:
        break
error = np.abs(inverse - x).max()
print(f"Inverse after {iterations} iterations: largest error {error:.1e}")
if not error < 1e-5:
    sys.exit("The inverse is further off than 1e-5.")
