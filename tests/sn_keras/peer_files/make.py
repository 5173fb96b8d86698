"""Makes the files in this folder, each by the package that it is named after.

`python make.py keras3` is for the project's environment, `python make.py keras2` and
`python make.py tfa` for one of their own, with Python 3.11 and
`benchmarks/requirements/tfa.txt`.

Each model is trained for a few steps by its own package, with many power iterations,
and ends on a training call. The `.npz` file has an input and what the model made of it.
"""

import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent


def main(peer):
    if peer == "keras3":
        import keras
    else:
        from tensorflow import keras
    layers = keras.layers
    keras.utils.set_random_seed(5)
    model = addons_model(layers) if peer == "tfa" else spectral_model(keras)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4, 4, 2)).astype("float32")
    # These wrappers of Keras 2 can't be trained otherwise.
    model.compile("sgd", "mse", run_eagerly=peer != "keras3")
    model.fit(x, rng.normal(size=(8, 2)), epochs=3, verbose=0)
    model(x, training=True)
    np.savez_compressed(HERE / f"{peer}.npz", x=x, y=np.asarray(model(x)))
    if peer == "keras3":
        model.save(HERE / "keras3.keras", include_optimizer=False)
        model.save_weights(HERE / "keras3.weights.h5")
        return
    model.save(HERE / f"{peer}.h5", include_optimizer=False)
    model.save(HERE / f"{peer}-saved", include_optimizer=False, save_traces=False)
    for path in (HERE / f"{peer}-saved").glob("*.pb"):
        path.unlink()  # Only the variables are read.


def spectral_model(keras):
    layers, spectral = keras.layers, keras.layers.SpectralNormalization
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            spectral(layers.Conv2D(3, 3), power_iterations=30, name="conv"),
            layers.LeakyReLU(name="relu"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flatten"),
            spectral(layers.Dense(4, "relu"), power_iterations=30, name="dense"),
            layers.Dense(2, name="last"),
        ],
        name="model",
    )


def addons_model(layers):
    import tensorflow_addons as tfa
    from tensorflow import keras

    spectral = tfa.layers.SpectralNormalization
    weight = tfa.layers.WeightNormalization
    convolution = layers.Conv2D(3, 3, padding="same")
    inner = [
        weight(layers.Dense(4, "tanh"), name="inner"),  # data_init=True, in a model
        weight(layers.Dense(3), data_init=False, name="inner2"),
    ]
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            spectral(convolution, power_iterations=30, name="conv"),
            weight(layers.Conv2D(4, 2, activation="relu"), name="weight_conv"),
            weight(layers.Conv2DTranspose(2, 2), data_init=False, name="transposed"),
            layers.Reshape((16, 2), name="reshape"),
            weight(layers.SimpleRNN(3), data_init=False, name="recurrent"),
            keras.Sequential([keras.Input((3,)), *inner], name="nested"),
            spectral(layers.Dense(4, "relu"), power_iterations=30, name="dense"),
            weight(layers.Dense(2), data_init=False, name="last"),
        ],
        name="model",
    )


if __name__ == "__main__":
    main(sys.argv[1])
