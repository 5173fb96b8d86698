"""migrate: files that the peers wrote themselves (peer_files/make.py) become ours."""

import pathlib
import shutil

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization, migrate
from tests.sn_keras.gradients import numpy

FILES = pathlib.Path(__file__).parent / "peer_files"
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's own"
)


def ours(peer, **options):
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            SpectralNormalization(layers.Conv2D(3, 3), **options),
            layers.LeakyReLU(0.3),  # Keras 2's default slope
            layers.BatchNormalization(),
            layers.Flatten(),
            SpectralNormalization(layers.Dense(4, "relu"), **options),
            layers.Dense(2),
        ]
    )


def check(model, peer):
    data = np.load(FILES / f"{peer}.npz")
    np.testing.assert_allclose(numpy(model(data["x"])), data["y"], rtol=1e-3, atol=1e-4)
    for layer in model.layers:
        if isinstance(layer, SpectralNormalization):
            kernel = numpy(layer.layer.kernel)
            exact = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
            assert float(layer.sigma()) == pytest.approx(exact, rel=1e-5)
    # It goes on training.
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(data["x"], data["y"], verbose=0)


@pytest.mark.slow
def test_a_whole_model():
    model = migrate(FILES / "keras3.keras")
    kinds = [type(layer) for layer in model.layers]
    assert kinds.count(SpectralNormalization) == 2
    check(model, "keras3")
    with pytest.raises(ValueError, match="`model` must be given"):
        migrate(FILES / "keras2.h5")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "keras3.weights.h5",
        "keras2.h5",
        pytest.param("keras2-saved", marks=on_tensorflow),
    ],
)
@pytest.mark.parametrize("gamma", [False, True])
def test_weights(name, gamma):
    peer = name.partition(".")[0].partition("-")[0]
    model = ours(peer, gamma=gamma)
    if peer == "keras3":
        model.layers[1].negative_slope = 0.3
    assert migrate(FILES / name, model) is model
    check(model, peer)


@pytest.mark.slow
def test_u_is_taken_over():
    theirs = keras.models.load_model(FILES / "keras3.keras")
    u = numpy(theirs.get_layer("dense").vector_u)[0]
    model = migrate(theirs)
    found = {w.name: numpy(w) for w in model.get_layer("dense").state_variables}["u"]
    np.testing.assert_allclose(found, u, atol=1e-4)  # the sign too


@pytest.mark.slow
def test_layers_whose_matrix_is_another():
    theirs = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.SpectralNormalization(layers.Conv2DTranspose(3, 3)),
            layers.SpectralNormalization(layers.DepthwiseConv2D(2)),
        ]
    )
    with pytest.warns(UserWarning, match="not of norm 1.*the model's outputs differ"):
        model = migrate(theirs)
    for layer, peer in zip(model.layers, theirs.layers, strict=True):
        assert isinstance(layer, SpectralNormalization)
        np.testing.assert_array_equal(numpy(layer.layer.kernel), numpy(peer.kernel))


def test_load_weights_says_what_the_file_is():
    model = ours("keras3")
    with pytest.raises(ValueError, match="keras.layers.SpectralNormalization.*migrate"):
        model.load_weights(FILES / "keras3.weights.h5")


@pytest.mark.slow
def test_what_is_refused(tmp_path):
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="none of the wrappers"):
        migrate(plain)
    with pytest.raises(TypeError, match="`model` must be"):
        migrate(3)
    dense = SpectralNormalization(layers.Dense(2))
    without = keras.Sequential([keras.Input((3,)), dense])
    with pytest.raises(ValueError, match="`source` does not hold weights of `model`"):
        migrate(FILES / "keras2.h5", without)
    with pytest.raises(ValueError, match="no SavedModel|where TensorFlow is"):
        shutil.copytree(FILES / "keras2-saved", tmp_path / "broken")
        (tmp_path / "broken" / "variables" / "variables.index").unlink()
        migrate(tmp_path / "broken", ours("keras2"))
