"""Which kernels a layer has, and each one's matrix, against plain NumPy."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import SpectralNormalization, register_kernels
from sn_keras.kernel_registry import _REGISTRY
from sn_keras.kernels import find_kernels
from tests.sn_keras.gradients import float64, numpy
from tests.sn_keras.layer_kinds import KINDS, every_kind


def built(kind, **options):
    layer = kind.make(**options)
    kind.build(layer)
    return layer


@pytest.mark.slow
@every_kind
def test_kernels_and_their_matrices(kind):
    layer = built(kind)
    expected = {id(v): m for v, m in kind.kernel_variables(layer)}
    kernels = find_kernels(layer)
    assert {id(kernel.variable) for kernel in kernels} == set(expected)
    assert len(kernels) == len(expected)
    assert len({kernel.name for kernel in kernels}) == len(kernels)
    for kernel in kernels:
        value = np.arange(np.prod(kernel.shape), dtype="float32").reshape(kernel.shape)
        matrix = expected[id(kernel.variable)](value)
        assert (kernel.d_out, kernel.d_in) == matrix.shape
        # Up to the order of columns and rows, of which nothing depends: singular
        # values and the way back to the kernel do not change with it.
        matrix_t = kernel.matrix_t(ops.convert_to_tensor(value))
        assert sorted(map(sorted, numpy(matrix_t).T.tolist())) == sorted(
            map(sorted, matrix.tolist())
        )
        np.testing.assert_array_equal(numpy(kernel.tensor(matrix_t)), value)
        rows = np.arange(1, kernel.d_out + 1, dtype="float32")
        scaled = ops.ones(kernel.shape) * kernel.per_row(ops.convert_to_tensor(rows))
        np.testing.assert_array_equal(
            numpy(kernel.matrix_t(scaled)), np.tile(rows, (kernel.d_in, 1))
        )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dense", ["kernel"]),
        ("lstm", ["lstm_cell/kernel", "lstm_cell/recurrent_kernel"]),
        (
            "multi_head_attention",
            ["attention_output/kernel", "key/kernel", "query/kernel", "value/kernel"],
        ),
        ("separable_conv2d", ["depthwise_kernel", "pointwise_kernel"]),
    ],
)
def test_names(name, expected):
    (kind,) = (kind for kind in KINDS if kind.name == name)
    assert sorted(kernel.name for kernel in find_kernels(built(kind))) == expected


class Twins(layers.Layer):
    """Two layers of one name."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, name="same")
        self.second = layers.Dense(4, name="same")

    def build(self, shape):
        self.first.build(shape)
        self.second.build((*shape[:-1], 4))

    def call(self, x):
        return self.second(self.first(x))


def test_layers_of_one_name_get_numbers():
    wrapped = SpectralNormalization(Twins())
    wrapped.build((None, 3))
    assert set(wrapped.sigma()) == {"same/kernel", "same/kernel_1"}


class Bilinear(layers.Layer):
    def build(self, shape):
        self.weight = self.add_weight(shape=(shape[-1], 4, 5), name="weight")

    def call(self, x):
        return ops.einsum("ba,acd,bc->bd", x, self.weight, x[:, :4])


@pytest.fixture
def registry():
    before = dict(_REGISTRY)
    yield
    _REGISTRY.clear()
    _REGISTRY.update(before)


@pytest.mark.slow
def test_register_kernels(registry):
    register_kernels(Bilinear, weight=(-2, -1))
    wrapped = SpectralNormalization(Bilinear())
    wrapped(np.ones((2, 6), "float32"))
    wrapped.iterate(500)  # its two largest singular values may be close
    matrix = numpy(wrapped.layer.weight).reshape(6, 20)
    sigma = float(wrapped.sigma())
    assert sigma == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-4)


@pytest.mark.parametrize("axes", [(1,), -2, np.int64(1)])
def test_a_subclass_has_the_kernels_of_its_parent(registry, axes):
    class Child(Bilinear):
        pass

    register_kernels(Bilinear, weight=axes)
    layer = Child()
    layer.build((None, 6))
    (kernel,) = find_kernels(layer)
    assert (kernel.d_out, kernel.d_in) == (4, 30)


class Subclassed(layers.Conv2DTranspose):
    pass


def test_a_subclass_of_a_keras_layer_is_of_its_kind():
    layer = Subclassed(3, 2)
    layer.build((None, 4, 4, 5))
    (kernel,) = find_kernels(layer)
    assert (kernel.d_out, kernel.d_in) == (3, 20)


def test_a_kernel_used_twice_is_one():
    dense = layers.Dense(4)
    (kernel,) = find_kernels(keras.Sequential([keras.Input((4,)), dense, dense]))
    assert kernel.variable is dense.kernel


def test_biases_and_scales_are_no_kernels():
    model = keras.Sequential(
        [
            keras.Input((4, 5)),
            layers.EinsumDense("abc,cde->abde", (4, 3, 2), bias_axes="de"),
            layers.LayerNormalization(axis=(-1, -2)),
            layers.PReLU(),
        ]
    )
    (kernel,) = find_kernels(model)
    assert kernel.variable is model.layers[0].kernel


@pytest.mark.skipif(
    not hasattr(layers, "ReversibleEmbedding"), reason="Keras before 3.13"
)
@pytest.mark.parametrize("tie_weights", [True, False])
def test_reversible_embedding(tie_weights):
    layer = layers.ReversibleEmbedding(6, 4, tie_weights=tie_weights)
    layer.build((None, 3))
    kernels = find_kernels(layer)
    assert len(kernels) == (1 if tie_weights else 2)
    assert (kernels[0].d_out, kernels[0].d_in) == (4, 6)


def test_dtypes():
    for policy, stored, state in [
        ("mixed_bfloat16", "float32", "float32"),
        ("bfloat16", "bfloat16", "float32"),
        ("float64", "float64", "float64"),
    ]:
        layer = layers.Dense(2, dtype=policy)
        with float64():
            layer.build((None, 3))
        (kernel,) = find_kernels(layer)
        assert (kernel.dtype, kernel.state_dtype) == (stored, state)


@pytest.mark.parametrize("axes", [(3,), (-4,), (1, -2), (0, 0)])
def test_axes_that_a_kernel_does_not_have(registry, axes):
    register_kernels(Bilinear, weight=axes)
    wrapped = SpectralNormalization(Bilinear())
    with pytest.raises(ValueError, match="weight of Bilinear.*rank 3"):
        wrapped.build((None, 6))
