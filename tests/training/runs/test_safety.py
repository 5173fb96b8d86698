"""What is loaded runs no code, and names don't lead out of their folder."""

import argparse
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.toy_runs import CrashError, crash_at, fit
from training.__main__ import main
from training.evaluation import scoring_options as arguments
from training.evaluation.extractors import classifier
from training.evaluation.extractors.classifier_training import LabelledImages
from training.evaluation.extractors.inception import InceptionExtractor
from training.evaluation.extractors.inception_weights import read_state
from training.evaluation.reports import CONDITIONS, Report, save_report
from training.storage.checkpoints import Checkpoints
from training.storage.folder import RunFolder


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (pathlib.Path.touch, (self.path,))


def lambda_model(path, target):
    """Saves a generator with a layer that makes a file when it is called."""
    text = str(target)
    touch = keras.layers.Lambda(
        lambda x: (__import__("pathlib").Path(text).touch(), x)[1],
        output_shape=(4, 4, 1),
    )
    latents = keras.Input((3,))
    images = keras.layers.Reshape((4, 4, 1))(keras.layers.Dense(16)(latents))
    model = keras.Model(latents, touch(images))
    model(np.zeros((1, 3)))
    target.unlink()  # as it would be made by whoever calls the model
    model.save(path)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_a_generator_with_code_in_it_is_refused(command, tmp_path, finished, capsys):
    run, target = tmp_path / "run", tmp_path / "touched"
    folder = RunFolder(run)
    folder.open(RunFolder(finished).config())
    lambda_model(folder.generator, target)
    options = {"sample": [], "evaluate": ["--extractor", str(folder.generator)]}
    assert main([command, str(run), *options[command]]) == 1
    assert "Lambda" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.slow
def test_a_checkpoint_with_a_pickle_in_it_is_passed_over(
    tmp_path, source, monkeypatch, finished
):
    with monkeypatch.context() as patch:
        crash_at(patch, 5)
        with pytest.raises(CrashError):
            fit(tmp_path / "run", source)
    target = tmp_path / "touched"
    newest = tmp_path / "run" / "checkpoints" / "step-00000004.npz"
    arrays = dict(np.load(newest))
    first = next(iter(arrays))
    arrays[first] = np.array([Bomb(target)], dtype=object)
    # As one of version 0.1.0, which has no digest of its bytes.
    arrays["metadata"] = np.frombuffer(b'{"step": 4}', np.uint8)
    np.savez(newest, allow_pickle=True, **arrays)
    with pytest.warns(UserWarning, match="step-00000004.npz is damaged.*allow_pickle"):
        assert Checkpoints(newest.parent).latest().step == 2
    assert not target.exists()


def test_weights_with_a_pickle_in_them_are_refused(tmp_path):
    target = tmp_path / "touched"
    file = tmp_path / "inception.npz"
    np.savez(file, allow_pickle=True, weight=np.array([Bomb(target)], dtype=object))
    with pytest.raises(ValueError, match="can't be read"):
        read_state(file)
    assert not target.exists()


@pytest.mark.parametrize("form", ["graph", "SavedModel"])
def test_a_network_that_writes_files_is_refused(form, tmp_path):
    target = tmp_path / "touched"

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3])])
    def serve(images):
        with tf.control_dependencies([tf.io.write_file(str(target), "code")]):
            pooled = tf.reduce_mean(images, axis=[1, 2])
        return {"features": pooled, "logits": pooled}

    path = tmp_path / "model"
    if form == "graph":
        path = path.with_suffix(".pb")
        graph = serve.get_concrete_function().graph.as_graph_def()
        path.write_bytes(graph.SerializeToString())
    else:
        tf.saved_model.save(tf.Module(), str(path), signatures=serve)
    with pytest.raises(ValueError, match="nothing but compute.* with WriteFile"):
        InceptionExtractor(path)
    assert not target.exists()


def test_names_do_not_lead_out_of_their_folder(tmp_path, finished, monkeypatch):
    away = "../../../evil"
    run = tmp_path / "runs" / "run"
    folder = RunFolder(run)
    config = RunFolder(finished).config()
    config["preset"]["name"] = away
    config["generator"]["class_names"] = [away, "/evil"]
    folder.open(config)
    folder.generator.write_bytes((finished / "generator.keras").read_bytes())
    assert main(["sample", str(run), "--singles", "--count", "2"]) == 0

    asked = argparse.Namespace(protocol="paper", scored_split=away)
    report = Report(
        step=1,
        weights="last",
        scores={"FCD": 1.0},
        conditions={**dict.fromkeys(CONDITIONS, ""), "extractor": "classifier"},
        seed=0,
        versions={},
        protocol=arguments.protocol(asked).name,
    )
    assert save_report(folder, report).parent == run / "scores"

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    monkeypatch.setattr(classifier, "train_classifier", lambda *a, **o: model)
    monkeypatch.setattr(classifier, "accuracy", lambda *a: 1.0)
    images = LabelledImages(np.zeros((4, 4, 4, 1), np.uint8), np.arange(4) % 2)
    cache = tmp_path / "cache"
    classifier.cached_classifier(cache, away, images, images)
    kinds = sorted(path.suffix for path in cache.iterdir())
    assert kinds == [".json", ".keras", ".lock"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "runs"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run"]
