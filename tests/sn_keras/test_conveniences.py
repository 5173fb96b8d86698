"""What a wrapper shows of the layer inside, and which of its kernels it takes."""

import copy

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import FrobeniusNormalization, SpectralNormalization, fold
from tests.sn_keras.gradients import numpy

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
SERIES = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")


def test_repr_and_summary_say_what_is_inside():
    wrapped = SpectralNormalization(layers.Dense(3, name="top"))
    assert wrapped.name.startswith("spectral_normalization_top")
    assert repr(wrapped) == (
        f"<SpectralNormalization name={wrapped.name}, "
        "layer=<Dense name=top, built=False>, built=False>"
    )
    other = SpectralNormalization(layers.Dense(3, name="top"))
    model = keras.Sequential([keras.Input((4,)), wrapped, other])
    lines = []
    model.summary(line_length=140, print_fn=lines.append)
    text = "\n".join(lines)
    assert f"{wrapped.name} (SpectralNormalization)" in text
    assert f"{other.name} (SpectralNormalization)" in text
    copy.deepcopy(wrapped)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16", "float32", None])
def test_dtype_is_that_of_the_layer_inside(dtype):
    before = keras.dtype_policies.get(None)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        wrapped = SpectralNormalization(layers.Dense(3), dtype=dtype)
    finally:
        keras.config.set_dtype_policy(before)
    expected = layers.Dense(3, dtype=dtype or "mixed_float16")
    outputs = wrapped(X)
    assert keras.backend.standardize_dtype(outputs.dtype) == expected.compute_dtype
    assert wrapped.layer.kernel.dtype == expected.variable_dtype
    again = SpectralNormalization.from_config(wrapped.get_config())
    assert again.layer.dtype_policy.name == expected.dtype_policy.name


def test_fold_keeps_a_dtype_that_the_wrapper_was_given():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = SpectralNormalization(layers.Dense(3), dtype="mixed_bfloat16")

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x)

        def get_config(self):
            return {}

    model = Model()
    model.build((None, 4))
    plain = fold(model)
    assert keras.backend.standardize_dtype(plain(X).dtype) == "bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "names", "states"),
    [
        (lambda: layers.LSTM(3), ["recurrent_kernel"], 1),
        (lambda: layers.LSTM(3), ["lstm_cell/kernel", "recurrent_kernel"], 2),
        (lambda: layers.MultiHeadAttention(2, 3), ["query", "key"], 2),
        (lambda: layers.MultiHeadAttention(2, 3), ["kernel"], 4),
    ],
)
def test_some_of_the_kernels(make, names, states):
    layer = make()
    if isinstance(layer, layers.LSTM):
        layer.cell.name = "lstm_cell"
    wrapped = SpectralNormalization(layer, kernels=names)
    inputs = (SERIES, SERIES) if "key" in names or names == ["kernel"] else (SERIES,)
    wrapped(*inputs, training=True)
    assert len(wrapped.state_variables) == 2 * states
    found = wrapped.normalized_kernel()
    assert states == (len(found) if isinstance(found, dict) else 1)
    again = SpectralNormalization.from_config(wrapped.get_config())
    assert again.get_config()["kernels"] == names


def test_the_other_kernels_run_as_they_are():
    wrapped = FrobeniusNormalization(layers.SimpleRNN(3), kernels=["recurrent_kernel"])
    wrapped.build(SERIES.shape)
    plain = layers.SimpleRNN(3)
    plain.build(SERIES.shape)
    kernel, recurrent, bias = (numpy(w) for w in wrapped.layer.weights)
    plain.set_weights([kernel, recurrent / np.linalg.norm(recurrent), bias])
    for folded in (wrapped, fold(wrapped)):
        np.testing.assert_allclose(
            numpy(folded(SERIES)), numpy(plain(SERIES)), rtol=1e-5, atol=1e-6
        )


def test_reset_state():
    layer = layers.GRU(3, stateful=True)
    wrapped = SpectralNormalization(layer, seed=3, gamma=True, kernels=["kernel"])
    wrapped(SERIES, training=True)
    gamma, u, v = (numpy(w).copy() for w in wrapped.state_variables)
    wrapped.state_variables[1].assign(np.eye(9)[0])
    wrapped.layer.cell.kernel.assign(numpy(wrapped.layer.cell.kernel) * 3)
    wrapped.reset_state()
    assert not numpy(layer.states[0]).any()
    found = [numpy(w) for w in wrapped.state_variables]
    np.testing.assert_array_equal(found[0], gamma)
    for vector, expected in zip(found[1:], (u, v), strict=True):
        # Up to its sign, which a singular vector doesn't have.
        assert abs(vector @ expected) == pytest.approx(1, abs=1e-5)
