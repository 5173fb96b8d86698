"""Makes the files in this folder, each by the package that it is named after.

`python make.py keras3` is for the project's environment, `python make.py keras2` for
one of its own, with `benchmarks/requirements/tfa.txt`.

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
    spectral = layers.SpectralNormalization
    keras.utils.set_random_seed(5)

    model = keras.Sequential(
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
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4, 4, 2)).astype("float32")
    # Keras 2's wrapper can't be trained otherwise.
    model.compile("sgd", "mse", run_eagerly=peer == "keras2")
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


if __name__ == "__main__":
    main(sys.argv[1])
