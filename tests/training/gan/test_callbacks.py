"""Keras' callbacks with a GAN: the rows of docs/callbacks.md."""

import csv
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import toys
from training import GAN

K = keras.callbacks
ROOT = pathlib.Path(__file__).resolve().parents[3]


def made(generator_optimizer=None, discriminator_optimizer=None, **options):
    gan = GAN(toys.generator(), toys.discriminator(), discriminator_steps=1)
    gan.compile(
        generator_optimizer or keras.optimizers.SGD(0.1),
        discriminator_optimizer or keras.optimizers.SGD(0.4),
        run_eagerly=True,
        **options,
    )
    return gan


def fit(gan, *callbacks, epochs=3, images=8, **options):
    x = toys.images(images)
    options = {"batch_size": 4, "shuffle": False, "verbose": 0, **options}
    return gan.fit(x, epochs=epochs, callbacks=list(callbacks), **options).history


def rates(gan):
    both = gan.generator_optimizer, gan.discriminator_optimizer
    return [round(float(one.learning_rate), 6) for one in both]


def weights(gan):
    return [w.numpy() for w in gan.generator.weights + gan.discriminator.weights]


def test_every_callback_of_keras_has_a_row():
    text = (ROOT / "docs/callbacks.md").read_text(encoding="utf-8")
    public = {
        name
        for name, kind in vars(K).items()
        if isinstance(kind, type) and issubclass(kind, K.Callback)
    }
    assert {name for name in public if f"| `{name}`" not in text} == {"Callback"}


@pytest.mark.slow
def test_learning_rate_scheduler_sets_both_rates():
    gan = made()
    history = fit(gan, K.LearningRateScheduler(lambda epoch, rate: rate / 2), epochs=2)
    assert rates(gan) == [0.025, 0.1]
    (of_g, of_d) = (name for name in history if name.startswith("learning_rate"))
    np.testing.assert_allclose(history[of_g], [0.05, 0.025])
    np.testing.assert_allclose(history[of_d], [0.2, 0.1])


@pytest.mark.slow
def test_reduce_lr_on_plateau_lowers_both_rates():
    gan = made()
    plateau = K.ReduceLROnPlateau(
        "generator_loss", 0.5, patience=1, mode="min", min_delta=1e9
    )
    fit(gan, plateau, epochs=3)
    assert rates(gan) == [0.025, 0.1]


@pytest.mark.skipif(
    keras.__version__.startswith("3.12."),
    reason="Keras 3.12 looks for one optimizer alone",
)
def test_swap_ema_weights_shows_the_averages_between_epochs():
    def optimizers():
        return [keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), None]

    class Look(K.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.generator.weights[0].numpy())

    seen = []
    gan, plain = made(*optimizers()), made(*optimizers())
    plain.set_weights(gan.get_weights())
    fit(gan, K.SwapEMAWeights(swap_on_epoch=True), Look(), epochs=1)
    fit(plain, epochs=1)
    averaged = plain.averaged_generator().weights[0].numpy()
    np.testing.assert_allclose(seen, [averaged], rtol=1e-5)
    assert not np.allclose(averaged, plain.generator.weights[0].numpy())


def test_swap_ema_weights_leaves_the_averages_after_the_last_step():
    averaging = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    gan = made(averaging)
    fit(gan, K.SwapEMAWeights(), epochs=1)
    averages = gan.averaged_generator().get_weights()
    np.testing.assert_array_equal(gan.generator.get_weights(), averages)
    other = made(keras.optimizers.SGD(0.1))
    before = other.generator.get_weights()
    fit(gan, epochs=1)
    assert not np.allclose(
        gan.generator.get_weights(), gan.averaged_generator().get_weights()
    )
    fit(other, K.SwapEMAWeights(), epochs=1)
    assert not np.allclose(other.generator.get_weights(), before)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["generator", "discriminator"])
def test_terminate_on_nan_looks_at_both_losses(loss):
    def diverged(*logits):
        return keras.ops.mean(logits[0]) * (np.nan if gan.step else 1.0)

    def fine(*logits):
        return keras.ops.mean(logits[0])

    functions = {"discriminator": fine, "generator": fine, loss: diverged}
    gan = made(loss=(functions["discriminator"], functions["generator"]))
    fit(gan, K.TerminateOnNaN(), images=40)
    # Of 10; in D's first update G has had its first.
    assert gan.step == {"generator": 2, "discriminator": 1}[loss]
    with pytest.raises(ValueError, match="`save` needs weights that are finite"):
        gan.save("never.keras")


def test_early_stopping_takes_back_the_best_weights():
    gan = made()
    before = []

    class Keep(K.Callback):
        def on_epoch_end(self, epoch, logs=None):
            before.append(weights(gan))

    stop = K.EarlyStopping(
        "generator_loss", 1e9, 1, mode="min", restore_best_weights=True
    )
    history = fit(gan, Keep(), stop, epochs=9)
    assert len(history["generator_loss"]) == 2
    for found, best in zip(weights(gan), before[0], strict=True):
        np.testing.assert_array_equal(found, best)


@pytest.mark.slow
def test_checkpoints_and_logs(tmp_path):
    gan = made()
    fit(
        gan,
        K.ModelCheckpoint(
            tmp_path / "best.keras",
            monitor="discriminator_loss",
            mode="min",
            save_best_only=True,
        ),
        K.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True),
        K.CSVLogger(tmp_path / "log.csv"),
        K.TensorBoard(tmp_path / "board"),
        K.LambdaCallback(on_epoch_end=lambda epoch, logs: logs["generator_loss"]),
        K.ProgbarLogger(),
        verbose=2,
    )
    best = keras.saving.load_model(tmp_path / "best.keras")
    assert best.step in (2, 4, 6)
    other = made()
    other.load_weights(tmp_path / "last.weights.h5")
    assert other.step == gan.step == 6
    for found, wanted in zip(weights(other), weights(gan), strict=True):
        np.testing.assert_array_equal(found, wanted)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert set(rows[0]) >= {"epoch", "discriminator_loss", "generator_loss"}
    assert list((tmp_path / "board" / "train").iterdir())


@pytest.mark.slow
def test_backup_and_restore_carries_on(tmp_path):
    class Stop(K.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return K.BackupAndRestore(tmp_path / "backup")

    gan, other = made(), made()
    with pytest.raises(KeyboardInterrupt):
        fit(gan, backup(), Stop(), epochs=4)
    history = fit(other, backup(), epochs=4)
    assert other.step == 8 and len(history["generator_loss"]) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_data", toys.images(4)),
        ("validation_split", 0.1),
        ("sample_weight", np.ones(8)),
        ("class_weight", {0: 1.0}),
    ],
)
def test_what_needs_a_loss_on_data_is_refused(name, value):
    with pytest.raises(TypeError, match=f"no `{name}`.*training.evaluation"):
        fit(made(), **{name: value})


@pytest.mark.slow
def test_predict_and_export_are_those_of_the_generator(tmp_path):
    gan = made()
    latents = np.ones((2, toys.LATENT), "float32")
    images = gan.generator(latents).numpy()
    np.testing.assert_allclose(gan.predict(latents, verbose=0), images, rtol=1e-6)
    gan.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(exported.serve(latents), images, rtol=1e-6)
