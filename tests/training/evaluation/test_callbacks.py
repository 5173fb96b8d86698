"""Scores in `fit`: at the right steps, equal to the one-shot scores, best kept."""

import json

import keras
import numpy as np
import pytest

from training import GAN
from training.evaluation.callbacks import Score, read_best
from training.evaluation.extractors import KerasExtractor
from training.evaluation.extractors.extraction import extract
from training.evaluation.generation import generated_batches
from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.inception_score import inception_score
from training.evaluation.scores.statistics import gaussian_statistics


def make_gan(**optimizer):
    latents = keras.Input((4,))
    x = keras.layers.Dense(64, activation="tanh")(latents)
    generator = keras.Model(latents, keras.layers.Reshape((8, 8, 1))(x))
    images = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(images))
    gan = GAN(
        generator, keras.Model(images, logits), latent_dim=4, discriminator_steps=1
    )
    gan.compile(keras.optimizers.Adam(1e-2, **optimizer), keras.optimizers.Adam(1e-2))
    return gan


@pytest.fixture
def extractor():
    images = keras.Input((8, 8, 1))
    features = keras.layers.Dense(5)(keras.layers.Flatten()(images))
    return KerasExtractor(
        keras.Model(images, [features, keras.layers.Dense(3)(features)]), "toy"
    )


@pytest.fixture
def real(extractor):
    images = np.random.RandomState(0).randint(0, 256, (200, 8, 8, 1))
    return gaussian_statistics(extractor(images.astype(np.uint8))[0])


DATA = np.random.RandomState(1).uniform(-1, 1, (80, 8, 8, 1)).astype("float32")


@pytest.mark.slow
def test_scores_every_n_steps_and_the_last_equal_the_one_shot(extractor, real):
    gan, seen = make_gan(), []
    callback = Score(
        extractor,
        real,
        every=2,
        count=50,
        batch_size=16,
        on_scores=lambda step, scores: seen.append(step),
    )
    gan.fit(DATA, batch_size=16, epochs=1, verbose=0, callbacks=[callback])
    assert list(callback.history) == seen == [2, 4, 5]
    batches = generated_batches(gan.generator, 50, 7, latent_dim=4)
    fake = extract(extractor, batches, 50)
    expected = frechet_distance(real, gaussian_statistics(fake.features))
    assert callback.scores["FD-toy"] == pytest.approx(expected, rel=1e-5)
    expected = inception_score(fake.logits, splits=1).mean
    assert callback.scores["PS-toy"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_training_is_not_touched(extractor, real):
    weights = []
    for callbacks in ([], [Score(extractor, real, every=1, count=20)]):
        keras.utils.set_random_seed(0)
        gan = make_gan()
        gan.fit(
            DATA, batch_size=16, epochs=1, verbose=0, callbacks=callbacks, shuffle=False
        )
        weights.append(gan.get_weights())
    for alone, scored in zip(*weights, strict=True):
        np.testing.assert_array_equal(alone, scored)


@pytest.mark.slow
def test_keeps_the_best_generator_over_sessions(extractor, real, tmp_path):
    gan = make_gan()
    callback = Score(extractor, real, every=1, count=50, folder=tmp_path)
    gan.fit(DATA, batch_size=16, epochs=2, verbose=0, callbacks=[callback])
    by_step = {step: scores["FD-toy"] for step, scores in callback.history.items()}
    best = read_best(tmp_path)
    assert best.step == min(by_step, key=by_step.get)
    assert best.value == by_step[best.step] and best.score == "FD-toy"
    kept = keras.saving.load_model(tmp_path / "generator-best.keras")
    batches = generated_batches(kept, 50, latent_dim=4)
    fake = gaussian_statistics(extract(extractor, batches, 50).features)
    assert frechet_distance(real, fake) == pytest.approx(best.value, rel=1e-6)

    # Another session that is worse leaves it; one by another score starts anew.
    before = (tmp_path / "generator-best.keras").read_bytes()
    (tmp_path / "best.json").write_text(json.dumps(vars(best) | {"value": -1.0}))
    gan.fit(DATA, batch_size=16, epochs=1, verbose=0, callbacks=[callback])
    assert (tmp_path / "generator-best.keras").read_bytes() == before
    (tmp_path / "best.json").write_text(
        json.dumps(vars(best) | {"value": -1.0, "score": "FID"})
    )
    gan.fit(DATA, batch_size=16, epochs=1, verbose=0, callbacks=[callback])
    assert read_best(tmp_path).score == "FD-toy"


@pytest.mark.slow
def test_other_workers_write_nothing(extractor, real, tmp_path):
    gan = make_gan()
    callback = Score(extractor, real, 5, count=20, folder=tmp_path, writes=False)
    gan.fit(DATA, batch_size=16, verbose=0, callbacks=[callback])
    assert callback.history and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_averaged_weights_are_scored_apart(extractor, real, tmp_path):
    gan = make_gan(use_ema=True, ema_momentum=0.9)
    callback = Score(extractor, real, every=5, count=50, folder=tmp_path)
    gan.fit(DATA, batch_size=16, verbose=0, callbacks=[callback])
    assert callback.scores["ema_FD-toy"] != callback.scores["FD-toy"]
    fake = extract(
        extractor, generated_batches(gan.averaged_generator(), 50, latent_dim=4), 50
    )
    expected = frechet_distance(real, gaussian_statistics(fake.features))
    assert callback.scores["ema_FD-toy"] == pytest.approx(expected, rel=1e-6)
    assert read_best(tmp_path, "ema_").value == callback.scores["ema_FD-toy"]
    assert (tmp_path / "generator-ema-best.keras").exists()


def test_generated_images_depend_on_seed_and_place_alone():
    generator = make_gan().generator

    def images(batch_size, seed=0, count=30):
        batches = generated_batches(generator, count, batch_size, seed, 4)
        return np.concatenate([part for part, _ in batches]).astype(int)

    assert np.abs(images(30) - images(7)).max() <= 1  # rounding to uint8
    assert np.abs(images(30) - images(30, seed=1)).mean() > 1
    assert images(30).dtype.kind == "i" and images(8, count=9).shape == (9, 8, 8, 1)


def test_a_diverged_generator_is_named():
    generator = make_gan().generator
    generator.layers[1].set_weights([np.full((4, 64), np.nan), np.zeros(64)])
    with pytest.raises(ValueError, match="`generator` must make finite images"):
        next(generated_batches(generator, 5, latent_dim=4))


def test_refuses(extractor, real):
    with pytest.raises(ValueError, match="`every` must be an integer of 1 or more"):
        Score(extractor, real, every=0)
    with pytest.raises(ValueError, match="`count` must be an integer of 2 or more"):
        Score(extractor, real, every=1, count=1)


@pytest.mark.slow
def test_two_replicas_are_scored_like_one(extractor, real, two_replicas):
    def scores(gan):
        callback = Score(extractor, real, every=2, count=50, batch_size=16)
        gan.fit(
            DATA[:64],
            batch_size=16,
            verbose=0,
            callbacks=[callback],
            shuffle=False,
        )
        return callback.history

    alone = make_gan()
    with two_replicas.scope():
        spread = make_gan()
        spread.set_weights(alone.get_weights())
    expected = scores(alone)
    found = scores(spread)
    assert list(found) == list(expected) == [2, 4]
    for step in found:
        assert found[step] == pytest.approx(expected[step], rel=0.02)
