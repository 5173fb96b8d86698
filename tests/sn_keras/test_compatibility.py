"""Model definitions for Keras' and TensorFlow Addons' wrapper run as they are."""

import inspect

import keras
import numpy as np
import pytest

import sn_keras
from tests.sn_keras.gradients import numpy

X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")


# The definition as it stands in a program written for Keras' wrapper; it takes the
# class from `layers` or from sn_keras.
def discriminator(SpectralNormalization):  # noqa: N803
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            SpectralNormalization(keras.layers.Conv2D(8, 3, padding="same")),
            keras.layers.LeakyReLU(0.1),
            SpectralNormalization(
                keras.layers.Conv2D(8, 4, strides=2), power_iterations=2, name="down"
            ),
            keras.layers.Flatten(),
            SpectralNormalization(layer=keras.layers.Dense(1), dtype="float32"),
        ]
    )


@pytest.mark.slow
def test_the_same_definition_runs_with_both():
    theirs = discriminator(keras.layers.SpectralNormalization)
    ours = discriminator(sn_keras.SpectralNormalization)
    assert ours.output_shape == theirs.output_shape
    assert [layer.name for layer in ours.layers][2] == "down"
    shapes = [
        sorted(tuple(w.shape) for w in model.trainable_weights)
        for model in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]
    assert tuple(ours(X, training=True).shape) == (2, 1)
    ours.compile("adam", "mse", jit_compile=False)
    ours.fit(X, np.ones((2, 1)), verbose=0)


def test_their_arguments_come_first():
    theirs = list(inspect.signature(keras.layers.SpectralNormalization).parameters)
    ours = list(inspect.signature(sn_keras.SpectralNormalization).parameters)
    assert ours[: len(theirs) - 1] == theirs[:-1] == ["layer", "power_iterations"]
    assert ours[-1] == theirs[-1] == "kwargs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((3,), {}),
        ((), {"power_iterations": 3}),
        ((1,), {"name": "sn"}),
        ((), {"trainable": False}),
        ((), {"dtype": "float32"}),
    ],
)
def test_positional_and_keyword_arguments(arguments, options):
    layer = keras.layers.Conv2D(4, 3)
    wrapped = sn_keras.SpectralNormalization(layer, *arguments, **options)
    expected = arguments[0] if arguments else options.get("power_iterations", 1)
    assert wrapped.power_iterations == expected
    assert wrapped.layer is layer
    assert wrapped.trainable is options.get("trainable", True)
    assert tuple(wrapped(X, training=True).shape) == (2, 6, 6, 4)


def test_the_first_output_is_theirs_with_equal_vectors():
    """After one training call both have run with W/σ of the same W and u."""
    theirs = keras.layers.SpectralNormalization(keras.layers.Dense(4, use_bias=False))
    ours = sn_keras.SpectralNormalization(keras.layers.Dense(4, use_bias=False))
    x = X.reshape(2, -1)[:, :5]
    for wrapped in (theirs, ours):
        wrapped.build(x.shape)
    kernel = np.random.default_rng(1).normal(size=(5, 4))
    for wrapped in (theirs, ours):
        wrapped.layer.kernel.assign(kernel)
    ours.state_variables[0].assign(numpy(theirs.vector_u)[0])
    first, second = (numpy(wrapped(x, training=True)) for wrapped in (theirs, ours))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_weights_of_a_plain_model_fit_in():
    plain = discriminator(lambda layer, **_: layer)
    ours = discriminator(sn_keras.SpectralNormalization)
    for target, source in zip(
        ours.trainable_weights, plain.trainable_weights, strict=True
    ):
        target.assign(source)
    for layer in ours.layers:
        if isinstance(layer, sn_keras.SpectralNormalization):
            layer.iterate(100)
    kernel = numpy(plain.layers[0].kernel).reshape(-1, 8)
    sigma = float(ours.layers[0].sigma())
    assert sigma == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-4)
