"""migrate: files that the peers wrote themselves (peer_files/make.py) become ours."""

import pathlib
import shutil

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import (
    FrobeniusNormalization,
    SpectralNormalization,
    WeightNormalization,
    migrate,
)
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
        if isinstance(layer, SpectralNormalization) and layer.norm == "kernel":
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
@pytest.mark.parametrize(
    "options",
    [
        {"norm_multiplier": 2.0, "gamma": True},
        {"norm_multiplier": 2.0, "only_above": True},
        {"norm_multiplier": 0.5, "only_above": True, "gamma": True},
        {"norm": "operator", "gamma": True},
    ],
    ids=str,
)
def test_another_norm_than_the_peers_with_the_same_outputs(options):
    model = ours("keras3", **options)
    migrate(FILES / "keras3.weights.h5", model)
    check(model, "keras3")


@pytest.mark.parametrize(
    "options",
    [{"norm_multiplier": 2.0}, {"norm_multiplier": 0.5, "only_above": True}],
    ids=str,
)
def test_another_norm_than_the_peers_is_told(options):
    with pytest.warns(UserWarning, match="not of the norm.*the model's outputs differ"):
        migrate(FILES / "keras3.weights.h5", ours("keras3", **options))


def test_outputs_of_a_short_training_are_kept_by_gamma(tmp_path):
    def model(wrapper, **options):
        layer = wrapper(layers.Dense(4), **options)
        return keras.Sequential([keras.Input((8,)), layer])

    theirs, file = model(layers.SpectralNormalization), tmp_path / "old.keras"
    theirs(x := np.ones((2, 8), "float32"), training=True)
    theirs.save(file)
    with pytest.warns(UserWarning, match="outputs differ.*`gamma=True` there"):
        migrate(file)
    ours = migrate(file, model(SpectralNormalization, gamma=True))
    np.testing.assert_allclose(numpy(ours(x)), numpy(theirs(x)), rtol=1e-5)


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
    with pytest.warns(UserWarning, match="not of the norm.*the model's outputs differ"):
        model = migrate(theirs)
    for layer, peer in zip(model.layers, theirs.layers, strict=True):
        assert isinstance(layer, SpectralNormalization)
        np.testing.assert_array_equal(numpy(layer.layer.kernel), numpy(peer.kernel))


def in_place_of_addons(gamma=True):
    def weight(layer, **options):
        return WeightNormalization(layer, gamma=gamma, **options)

    recurrent = ["recurrent_kernel"]
    nested = [weight(layers.Dense(4, "tanh")), weight(layers.Dense(3))]
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            SpectralNormalization(layers.Conv2D(3, 3, padding="same")),
            weight(layers.Conv2D(4, 2, activation="relu")),
            weight(layers.Conv2DTranspose(2, 2)),
            layers.Reshape((16, 2)),
            weight(layers.SimpleRNN(3), kernels=recurrent),
            keras.Sequential([keras.Input((3,)), *nested]),
            SpectralNormalization(layers.Dense(4, "relu")),
            weight(layers.Dense(2)),
        ]
    )


addons_files = pytest.mark.parametrize(
    "name", ["tfa.h5", pytest.param("tfa-saved", marks=on_tensorflow)]
)


@pytest.mark.slow
@addons_files
def test_files_of_addons(name):
    model = in_place_of_addons()
    assert migrate(FILES / name, model) is model
    check(model, "tfa")


@addons_files
def test_what_addons_files_hold_is_taken_over(name):
    model = migrate(FILES / name, in_place_of_addons())
    with h5py.File(FILES / "tfa.h5") as file:
        saved = {}
        file["model_weights"].visititems(
            lambda path, x: saved.update({path: x[()]} if hasattr(x, "dtype") else {})
        )
    g = saved["last/last/g:0"]
    last = model.layers[-1]
    np.testing.assert_array_equal(numpy(last.state_variables[0]), g)
    np.testing.assert_array_equal(numpy(last.layer.kernel), saved["last/last/kernel:0"])
    state = {w.name: numpy(w) for w in model.layers[0].state_variables}
    u = saved["conv/conv/sn_u:0"][0]
    np.testing.assert_allclose(state["u"], u, atol=1e-4)  # the sign too


def test_a_multiplier_without_a_place_is_named():
    model = in_place_of_addons(gamma=False)
    with pytest.warns(UserWarning, match="`g` has no place .*'weight_norm.*differ"):
        migrate(FILES / "tfa.h5", model)


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [False, True])
def test_kernels_beyond_those_of_addons_keep_their_outputs(gamma):
    model = in_place_of_addons(gamma)
    wrapped = WeightNormalization(layers.SimpleRNN(3), gamma=True)
    others = [layer for layer in model.layers if "rnn" not in layer.name]
    model = keras.Sequential(
        [keras.Input((4, 4, 2)), *others[:4], wrapped, *others[4:]]
    )
    if gamma:
        migrate(FILES / "tfa.h5", model)
        check(model, "tfa")
        return
    with pytest.warns(UserWarning, match="has no place") as caught:
        migrate(FILES / "tfa.h5", model)
    assert "rnn" not in str(caught[0].message)


def test_a_file_from_before_the_first_call(tmp_path):
    shutil.copy(FILES / "tfa.h5", tmp_path / "early.h5")
    with h5py.File(tmp_path / "early.h5", "r+") as file:
        weights = file["model_weights/last/last"]
        weights["initialized:0"][()] = False
        kernel = weights["kernel:0"][()]
    model = in_place_of_addons()
    name = model.layers[-1].name
    with pytest.warns(UserWarning, match=f"before their first call.*'{name}'\\. Here"):
        migrate(tmp_path / "early.h5", model)
    normalized = numpy(model.layers[-1].normalized_kernel())
    np.testing.assert_allclose(normalized, kernel, rtol=1e-6)


def test_load_weights_says_what_the_file_is():
    model = ours("keras3")
    with pytest.raises(ValueError, match="keras.layers.SpectralNormalization.*migrate"):
        model.load_weights(FILES / "keras3.weights.h5")


@pytest.mark.parametrize("skip_mismatch", [False, True])
@pytest.mark.parametrize(
    ("name", "make"),
    [("keras2.h5", lambda: ours("keras2")), ("tfa.h5", in_place_of_addons)],
)
def test_load_weights_of_older_files_is_refused(name, make, skip_mismatch):
    # The message is Keras' own, and guides/migrate.md has it; it asks no layer.
    model = make()
    before = model.get_weights()
    with pytest.raises(ValueError, match="Weight count mismatch for layer #0"):
        model.load_weights(FILES / name, skip_mismatch=skip_mismatch)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("gamma", [False, True])
@pytest.mark.parametrize(
    "wrapper", [SpectralNormalization, WeightNormalization, FrobeniusNormalization]
)
def test_load_weights_by_name_writes_no_kernel_of_an_older_file(wrapper, gamma):
    # Of all weights that a wrapper can have, no order is that of an older file.
    for name in ("keras2.h5", "tfa.h5"):
        layer = wrapper(layers.Conv2D(3, 3), gamma=gamma, name="conv")
        model = keras.Sequential([keras.Input((4, 4, 2)), layer])
        before = model.get_weights()
        with pytest.raises(ValueError, match="[cC]ount mismatch|Shape mismatch"):
            model.load_weights(FILES / name, by_name=True)
        with pytest.warns(UserWarning, match="Skipping loading"):
            model.load_weights(FILES / name, by_name=True, skip_mismatch=True)
        for now, then in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(now, then)


@pytest.mark.slow
def test_what_is_refused(tmp_path):
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="none of the wrappers"):
        migrate(plain)
    with pytest.raises(TypeError, match="`model` must be"):
        migrate(3)
    embedding = WeightNormalization(layers.Embedding(2, 3))
    with pytest.raises(ValueError, match="no form for the layer .* class Embedding"):
        migrate(FILES / "tfa.h5", keras.Sequential([keras.Input((3,)), embedding]))
    dense = SpectralNormalization(layers.Dense(2))
    without = keras.Sequential([keras.Input((3,)), dense])
    with pytest.raises(ValueError, match="`source` does not hold weights of `model`"):
        migrate(FILES / "keras2.h5", without)
    with pytest.raises(ValueError, match="no SavedModel|where TensorFlow is"):
        shutil.copytree(FILES / "keras2-saved", tmp_path / "broken")
        (tmp_path / "broken" / "variables" / "variables.index").unlink()
        migrate(tmp_path / "broken", ours("keras2"))


@pytest.mark.slow
def test_what_was_adapted_is_migrated():
    images = np.random.default_rng(0).normal(50, 10, (64, 8)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(images)
    theirs = layers.SpectralNormalization(layers.Dense(3))
    theirs = keras.Sequential([keras.Input((8,)), adapted, theirs])
    for _ in range(100):
        theirs(images, training=True)
    expected = numpy(theirs(images))
    np.testing.assert_allclose(numpy(migrate(theirs)(images)), expected, rtol=1e-3)


def test_two_models_are_refused():
    model = keras.Sequential(
        [keras.Input((3,)), SpectralNormalization(layers.Dense(2))]
    )
    with pytest.raises(TypeError, match="`source` must be a file's path"):
        migrate(model, model)
