"""The same layer on JAX: a jitted training step, with u and v as state.

KERAS_BACKEND=jax python -m examples.sn_on_jax
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

from sn_keras import SpectralNormalization

model = keras.Sequential(
    [
        keras.Input((16,)),
        SpectralNormalization(keras.layers.Dense(32, activation="relu")),
        SpectralNormalization(keras.layers.Dense(1)),
    ]
)
random = np.random.default_rng(0)
x = random.normal(size=(64, 16)).astype("float32")
y = np.sin(x.sum(axis=1, keepdims=True))


def loss(trainable, state):
    outputs, state = model.stateless_call(trainable, state, x, training=True)
    return keras.ops.mean((outputs - y) ** 2), state


@jax.jit
def step(trainable, state):
    (value, state), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, state)
    # The kernels move by plain gradient descent; u and v come out of the call.
    moved = [w - 0.05 * g for w, g in zip(trainable, gradients, strict=True)]
    return value, moved, state


trainable = [variable.value for variable in model.trainable_variables]
state = [variable.value for variable in model.non_trainable_variables]
first, trainable, state = step(trainable, state)
for _ in range(200):
    value, trainable, state = step(trainable, state)
for variable, array in zip(model.trainable_variables, trainable, strict=True):
    variable.assign(array)
for variable, array in zip(model.non_trainable_variables, state, strict=True):
    variable.assign(array)

print(f"Loss: {first:.3f} before, {value:.3f} after 201 steps")
for layer in model.layers:
    norm = np.linalg.norm(layer.normalized_kernel(), 2)
    print(f"{layer.name}: the kernel it runs with has norm {norm:.4f}")
