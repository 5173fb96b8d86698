"""What each normalizer makes of a convolution, a dense layer and an embedding."""

import keras
import numpy as np
import pytest

from training import normalizers
from training.networks import resnet
from training.normalizers import NORMALIZERS

WRAPPING = [
    "spectral",
    "weight-norm",
    "frobenius",
    "spectral-gamma",
    "weight-norm-gamma",
    "frobenius-gamma",
]


def conv(name):
    layer = NORMALIZERS[name].apply(keras.layers.Conv2D, 6, 3, name="conv")
    layer.build((None, 8, 8, 4))
    return layer


def dense(name):
    layer = NORMALIZERS[name].apply(keras.layers.Dense, 6, name="dense")
    layer.build((None, 4))
    return layer


def embedding(name):
    layer = NORMALIZERS[name].apply_embedding(7, 5, name="embedding")
    layer.build((None,))
    return layer


def matrix(kernel):
    """The d_out × d_in matrix of a layer whose last axis is the output."""
    kernel = np.array(keras.ops.convert_to_numpy(kernel))
    return kernel.reshape(-1, kernel.shape[-1]).T


def test_the_papers_comparison_is_complete():
    assert set(NORMALIZERS) == {
        "none",
        "orthonormal",
        "spectral-regularization",
        "weight-clipping",
        "batch-norm",
        "layer-norm",
        *WRAPPING,
    }
    assert all(one.description for one in NORMALIZERS.values())


@pytest.mark.slow
@pytest.mark.parametrize("make", [conv, dense, embedding])
@pytest.mark.parametrize("name", ["spectral", "weight-norm", "frobenius"])
def test_wrapped_kernels_have_the_norm_of_one(make, name):
    layer = make(name)
    if name == "spectral":
        layer.iterate(200)
    w = matrix(layer.normalized_kernel())
    norms = {
        "spectral": lambda: np.linalg.svd(w, compute_uv=False)[0],
        "weight-norm": lambda: np.linalg.norm(w, axis=1),
        "frobenius": lambda: np.linalg.norm(w),
    }[name]()
    np.testing.assert_allclose(norms, 1, rtol=1e-4)
    assert layer.name == layer.layer.name == make.__name__


@pytest.mark.parametrize("name", ["spectral", "weight-norm", "frobenius"])
def test_gamma_starts_the_layer_as_the_plain_one(name):
    for make in (conv, dense):
        layer = make(f"{name}-gamma")
        plain = layer.layer.kernel.numpy()
        np.testing.assert_allclose(
            layer.normalized_kernel().numpy(), plain, rtol=1e-4, atol=1e-6
        )
        gammas = [w for w in layer.trainable_weights if w.name == "gamma"]
        rows = (6,) if name == "weight-norm" else ()
        assert [tuple(w.shape) for w in gammas] == [rows]
    # The label embedding is normalized, and has no γ.
    trainable = [w.name for w in embedding(f"{name}-gamma").trainable_weights]
    assert trainable == ["embeddings"]


def test_clipping_is_of_convolutions_alone():
    assert conv("weight-clipping").kernel_constraint.c == 0.01
    assert conv("weight-clipping").bias_constraint is None
    assert dense("weight-clipping").kernel_constraint is None
    assert embedding("weight-clipping").embeddings_constraint is None


@pytest.mark.parametrize("make", [conv, dense, embedding])
def test_orthonormal_layers_start_without_a_penalty(make):
    layer = make("orthonormal")
    sigmas = np.linalg.svd(matrix(layer.weights[0]), compute_uv=False)
    np.testing.assert_allclose(sigmas, 1, rtol=1e-4)
    assert len(layer.losses) == 1
    assert float(layer.losses[0]) < 1e-8


@pytest.mark.parametrize("make", [conv, dense, embedding])
def test_spectral_regularization_penalizes_the_largest_singular_value(make):
    layer = make("spectral-regularization")
    sigma = np.linalg.svd(matrix(layer.weights[0]), compute_uv=False)[0]
    (loss,) = layer.losses
    np.testing.assert_allclose(float(loss), 0.005 * sigma**2, rtol=1e-4)


@pytest.mark.parametrize("name", ["batch-norm", "layer-norm"])
def test_norms_keep_the_shift_and_have_no_multiplier(name):
    layer = NORMALIZERS[name].between()
    x = np.random.default_rng(0).normal(3, 2, (16, 8, 8, 4)).astype("float32")
    y = layer(x, training=True).numpy()
    assert [(w.name, tuple(w.shape)) for w in layer.trainable_weights] == [
        ("beta", (4,))
    ]
    axes = (0, 1, 2) if name == "batch-norm" else (1, 2, 3)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axes), 1, rtol=1e-3)


@pytest.mark.parametrize("name", ["batch-norm", "layer-norm"])
def test_norms_stand_before_every_activation_but_the_first(name):
    model = resnet.discriminator(normalizer=NORMALIZERS[name], width_multiplier=1 / 16)
    followed = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.ReLU):
            before = layer.input._keras_history.operation
            kind = type(NORMALIZERS[name].between())
            followed.append((layer.name, isinstance(before, kind)))
    # Seven activations in four blocks, one at the end; none has a ReLU in common.
    assert followed.pop(0) == ("block1_relu2", False)
    assert len(followed) == 7 and all(normed for _, normed in followed)


def test_layers_share_no_objects():
    a, b = conv("orthonormal"), conv("orthonormal")
    assert a.kernel_regularizer is not b.kernel_regularizer
    assert a.kernel_initializer is not b.kernel_initializer


def test_unknown_names_are_answered_with_the_known_ones():
    assert normalizers.get("spectral") is NORMALIZERS["spectral"]
    with pytest.raises(ValueError, match="`normalizer` must be one of .*'spectral'"):
        normalizers.get("spektral")
