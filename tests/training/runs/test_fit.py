"""A run, whole and in parts: the same files and the same bits."""

import dataclasses
import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.training.toy_runs import OPTIONS, PRESET, CrashError, crash_at, fit
from training.__main__ import main
from training.data import ArraySource, load, make_dataset
from training.evaluation.generators import load_with_step
from training.runs import resuming
from training.runs.build import create_gan
from training.runs.callbacks import finiteness
from training.runs.fit import load_images
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage import folder as folders
from training.storage import tensorboard
from training.storage.checkpoints import Checkpoints
from training.storage.differences import differences
from training.storage.folder import RunFolder
from training.storage.lock import RunLock


def last_arrays(path):
    return Checkpoints(path / "checkpoints").latest().arrays


def points(path):
    """All scalars in the event files, in order, without the time that they took."""
    found = []
    for file in sorted((path / "logs").iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if "images_per_second" not in value.tag:
                    number = tf.make_ndarray(value.tensor)
                    found.append((event.step, value.tag, number.tolist()))
    return sorted(found)


def lines(path):
    return [
        {key: value for key, value in entry.items() if key != "images_per_second"}
        for entry in RunFolder(path).metrics()
    ]


@pytest.mark.slow
def test_a_run_leaves_what_the_documentation_says(finished):
    folder = RunFolder(finished)
    assert [step for step, _ in Checkpoints(folder.checkpoints).steps()] == [6, 7]
    assert [entry["step"] for entry in folder.metrics()] == [2, 4, 6, 7]
    assert {"generator_loss", "discriminator_loss", "sigma/dense"} <= set(
        lines(finished)[0]
    )
    names = sorted(path.name for path in folder.samples.iterdir())
    assert names == [f"step-0000000{step}.png" for step in (3, 6, 7)]
    with Image.open(folder.samples / names[-1]) as image:
        assert image.size == (3 * 6 - 2, 2 * 6 - 2)
    config = folder.config()
    assert config["preset"]["learning_rate"] == 1e-3
    assert config["generator"]["latent_dim"] == 3
    assert not list(finished.rglob("*.tmp*"))


def test_the_generator_is_that_of_the_last_checkpoint(finished):
    arrays = last_arrays(finished)
    for name, group in (("generator", None), ("generator-ema", "average")):
        model = keras.saving.load_model(finished / f"{name}.keras")
        assert model(np.zeros((1, 3))).shape == (1, 4, 4, 1)
        if group is None:
            for i, variable in enumerate(model.variables):
                np.testing.assert_array_equal(variable, arrays[f"generator/{i:04d}"])


def test_tensorboard_has_the_points_of_the_metrics(finished):
    found = points(finished)
    for entry in lines(finished):
        for name, value in entry.items():
            if name != "step":
                assert (entry["step"], name, np.float32(value)) in found
    assert [step for step, name, _ in found if name == "samples"] == [3, 6, 7]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 4, 5, 7])
def test_a_crashed_run_ends_as_if_nothing_had_happened(
    step, tmp_path, source, finished, monkeypatch
):
    with monkeypatch.context() as patch:
        crash_at(patch, step)
        with pytest.raises(CrashError):
            fit(tmp_path / "run", source)
    said = []
    result = fit(tmp_path / "run", source, say=said.append)
    assert result.finished
    start = (step - 1) // 2 * 2
    assert any(f"step {start} of 7" in line for line in said) == bool(start)
    arrays = last_arrays(tmp_path / "run")
    for name, array in last_arrays(finished).items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert lines(tmp_path / "run") == lines(finished)
    assert points(tmp_path / "run") == points(finished)
    for path in (finished / "samples").iterdir():
        other = tmp_path / "run" / "samples" / path.name
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(tmp_path, source, finished, monkeypatch):
    with monkeypatch.context() as patch:
        crash_at(patch, 5)
        with pytest.raises(CrashError):
            fit(tmp_path / "run", source)
    newest = tmp_path / "run" / "checkpoints" / "step-00000004.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="step-00000004.npz is damaged"):
        assert fit(tmp_path / "run", source).finished
    arrays = last_arrays(tmp_path / "run")
    for name, array in last_arrays(finished).items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.mark.slow
def test_a_run_without_a_whole_checkpoint_is_left_alone(tmp_path, source, finished):
    shutil.copytree(finished, tmp_path / "run")
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        checkpoint.write_bytes(b"")
    before = snapshot(tmp_path / "run")
    with pytest.warns(UserWarning, match="is damaged and passed over"):
        with pytest.raises(RuntimeError, match="No checkpoint in .* is whole"):
            fit(tmp_path / "run", source)
    assert snapshot(tmp_path / "run") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_leaves_a_run_that_carries_on(
    number, code, tmp_path, source, finished, monkeypatch
):
    after = finiteness.Guard.after

    def kill(self, step, due, logs):
        if step == 3:
            os.kill(os.getpid(), number)
        after(self, step, due, logs)

    with monkeypatch.context() as patch:
        patch.setattr(finiteness.Guard, "after", kill)
        result = fit(tmp_path / "run", source)
    assert (result.step, result.finished, result.exit_code) == (3, False, code)
    assert fit(tmp_path / "run", source).finished
    arrays = last_arrays(tmp_path / "run")
    for name, array in last_arrays(finished).items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert lines(tmp_path / "run") == lines(finished)


@pytest.mark.slow
def test_a_worker_that_stops_with_another_is_not_done(tmp_path, source, monkeypatch):
    monkeypatch.setattr(
        "training.runs.callbacks.saving.Save._stopping", lambda _, step: step == 3
    )
    result = fit(tmp_path / "run", source)
    assert (result.step, result.finished, result.exit_code) == (3, False, 143)


@pytest.mark.slow
def test_two_replicas_carry_on_too(tmp_path, source, monkeypatch):
    # Means of losses are kept as a part in each replica.
    options = dataclasses.replace(OPTIONS, strategy="mirrored", checkpoint_every=3)
    fit(tmp_path / "whole", source, options=options)
    with monkeypatch.context() as patch:
        crash_at(patch, 4)
        with pytest.raises(CrashError):
            fit(tmp_path / "run", source, options=options)
    fit(tmp_path / "run", source, options=options)
    arrays = last_arrays(tmp_path / "run")
    for name, array in last_arrays(tmp_path / "whole").items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_is_carried_on_with_other_devices(
    tmp_path, source, finished, monkeypatch
):
    with monkeypatch.context() as patch:
        crash_at(patch, 5)
        with pytest.raises(CrashError):
            fit(tmp_path / "run", source)
    other = dataclasses.replace(OPTIONS, strategy="mirrored")
    assert fit(tmp_path / "run", source, options=other).finished
    # From then on, batch norm and dropout see half a batch each.
    assert lines(tmp_path / "run")[:2] == lines(finished)[:2]
    assert [entry["step"] for entry in lines(tmp_path / "run")] == [2, 4, 6, 7]


def snapshot(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent_dim": 9}, "latent_dim is 3 there and 9 here"),
        ({"setting": "E"}, "beta_2 is 0.9 there and 0.999 here; setting is 'D'"),
        ({"steps": 8, "decay_steps": 2}, "decay_steps is 0 there and 2 here; steps"),
    ],
)
def test_another_configuration_is_refused_and_nothing_touched(
    change, message, finished, source
):
    before = snapshot(finished)
    with pytest.raises(ValueError, match=message):
        fit(finished, source, dataclasses.replace(PRESET, **change))
    assert snapshot(finished) == before


def test_other_images_are_another_configuration(finished):
    other = ArraySource(np.zeros((21, 4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"image_shape is \[4, 4, 1\] there"):
        fit(finished, other)


def test_a_folder_of_something_else_is_refused(tmp_path, source):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="holds other files and no run"):
        fit(tmp_path, source)
    with pytest.raises(ValueError, match="must be a folder"):
        fit(tmp_path / "thesis.tex", source)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_a_finished_run_says_so_and_can_be_made_longer(tmp_path, source):
    short = dataclasses.replace(PRESET, steps=2)
    fit(tmp_path / "run", source, short)
    before = last_arrays(tmp_path / "run")
    said = []
    assert fit(tmp_path / "run", source, short, say=said.append).step == 2
    assert "is finished: 2 of 2" in said[0]
    np.testing.assert_equal(last_arrays(tmp_path / "run"), before)
    longer = dataclasses.replace(PRESET, steps=3)
    assert fit(tmp_path / "run", source, longer).step == 3


def test_executions_that_would_overshoot_are_refused(tmp_path, source):
    with pytest.raises(ValueError, match="`steps_per_execution` must divide"):
        fit(tmp_path / "run", source, options=RunOptions(steps_per_execution=3))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_executions_that_would_overshoot_what_is_left_are_refused(tmp_path, source):
    """4 steps are twice 2, but of the 1 that is left nothing would be saved."""
    fit(tmp_path / "run", source, dataclasses.replace(PRESET, steps=3))
    longer = dataclasses.replace(PRESET, steps=4)
    together = dataclasses.replace(OPTIONS, steps_per_execution=2)
    config = RunFolder(tmp_path / "run").config_file.read_bytes()
    with pytest.raises(ValueError, match="the 1 steps that are left, from step 3"):
        fit(tmp_path / "run", source, longer, together)
    # What was refused is not what the run would be carried on with.
    assert RunFolder(tmp_path / "run").config_file.read_bytes() == config
    assert fit(tmp_path / "run", source, longer).step == 4
    config = RunFolder(tmp_path / "run").config_file.read_bytes()
    with pytest.raises(ValueError, match="`steps` must be 4 or more"):
        fit(tmp_path / "run", source, dataclasses.replace(PRESET, steps=2))
    assert RunFolder(tmp_path / "run").config_file.read_bytes() == config


def test_a_run_of_an_experiment_on_the_training_split_is_carried_on():
    preset = Preset("digits", "", "mnist5k", image_size=28)
    part = load("mnist5k", split="train", image_size=28).digest
    sizes = [len(load_images(preset, digest)) for digest in (None, part, "0" * 64)]
    assert sizes == [5000, 4000, 5000]


@pytest.mark.parametrize("left", ["an empty folder", "no folder"])
def test_a_run_whose_checkpoints_are_gone_is_left_alone(
    left, tmp_path, source, finished
):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    shutil.rmtree(run / "checkpoints")
    if left == "an empty folder":
        (run / "checkpoints").mkdir()
    before = snapshot(run)
    with pytest.raises(RuntimeError, match="its checkpoints are gone"):
        fit(run, source)
    assert snapshot(run) == before


@pytest.mark.slow
def test_a_run_that_was_killed_in_its_first_checkpoint_begins_anew(
    tmp_path, source, finished, monkeypatch
):
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", crash)
        with pytest.raises(CrashError):
            fit(run, source)
    # The file knows its step, whatever checkpoint there is.
    assert load_with_step(RunFolder(run), "last")[1] == 2
    fit(run, source)
    assert load_with_step(RunFolder(run), "ema")[1] == 7
    assert differences(finished, run) == []


def crash(*arguments):
    raise CrashError


@pytest.mark.slow
def test_a_checkpoint_finds_its_lines_and_points_on_the_disk(
    tmp_path, source, monkeypatch
):
    flushed, saved = [], []
    save = Checkpoints.save

    def noted(self, *arguments):
        saved.append(set(flushed))
        return save(self, *arguments)

    monkeypatch.setattr(folders, "sync", lambda path: flushed.append(path.name))
    monkeypatch.setattr(Checkpoints, "save", noted)
    fit(tmp_path / "run", source)
    assert saved and {"metrics.jsonl", "logs"} < saved[0]
    assert any("tfevents" in name for name in saved[0])


def test_a_second_process_is_told_who_holds_the_folder(tmp_path, source):
    (tmp_path / "run").mkdir()
    with RunLock(tmp_path / "run"):
        with pytest.raises(RuntimeError, match=f'in use.*"pid": {os.getpid()}'):
            fit(tmp_path / "run", source)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run(tmp_path, source, monkeypatch):
    numbers = finiteness.numbers

    def broken(logs):
        calls.append(1)
        return {**numbers(logs), "generator_loss": float("nan")}

    calls = []
    fit(tmp_path / "run", source, dataclasses.replace(PRESET, steps=2))
    monkeypatch.setattr(finiteness, "numbers", broken)
    longer = dataclasses.replace(PRESET, steps=4)
    with pytest.raises(
        finiteness.NonFiniteError,
        match=r"not finite at step 3: .*generator_loss = nan.*sigma/conv = \d",
    ):
        fit(tmp_path / "run", source, longer)
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest().step == 2


@pytest.mark.slow
def test_data_that_end_early_end_the_run_which_carries_on(
    tmp_path, source, finished, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(
            "training.data.make_dataset", lambda *a, **o: make_dataset(*a, **o).take(5)
        )
        with pytest.warns(UserWarning, match="ran out of data"):
            with pytest.raises(RuntimeError, match="data ended at step 5 of 7"):
                fit(tmp_path / "run", source)
    assert fit(tmp_path / "run", source).finished
    assert not differences(finished, tmp_path / "run")


def test_a_weight_that_is_not_finite_is_never_saved(source):
    gan = create_gan(PRESET.resolved(), source, OPTIONS)
    finiteness.check_finite(gan, 5)
    kernel = gan.discriminator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.inf))
    with pytest.raises(finiteness.NonFiniteError, match="conv.*at step 5"):
        finiteness.check_finite(gan, 5)


def test_truncated_event_files_lose_later_steps_and_broken_ends(tmp_path):
    writer = tensorboard.Events(tmp_path)
    for step in (1, 2, 3):
        writer.scalars(step, {"loss": step})
    writer.close()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    tensorboard.truncate(tmp_path, 3)
    assert file.read_bytes() == whole
    file.write_bytes(whole[:-5])
    tensorboard.truncate(tmp_path, 3)
    steps = [
        tf.compat.v1.Event.FromString(record.numpy()).step
        for record in tf.data.TFRecordDataset(str(file))
    ]
    assert steps == [0, 1, 2]
    tensorboard.truncate(tmp_path, 1)
    assert len(list(tf.data.TFRecordDataset(str(file)))) == 2


def test_tensorboard_is_given_no_python_numbers(tmp_path, monkeypatch):
    # TensorFlow keeps each for good: 9 KB a step, if each step is logged.
    given = []
    scalar = tf.summary.scalar

    def noted(name, value):
        given.extend((value, tf.summary.experimental.get_step()))
        scalar(name, value)

    monkeypatch.setattr(tf.summary, "scalar", noted)
    events = tensorboard.Events(tmp_path)
    events.scalars(3, {"loss": 0.5})
    events.close()
    assert given and all(isinstance(one, np.ndarray) for one in given)


def test_metrics_lose_later_steps_and_broken_lines(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.append_metrics({"step": step})
    with folder.metrics_file.open("a") as file:
        file.write('5\n{"loss": 1}\n{"step": 1')
    folder.truncate_metrics(2)
    kept = [json.loads(x) for x in folder.metrics_file.read_text().splitlines()]
    assert kept == [{"step": 1}, {"step": 2}]


@pytest.mark.slow
def test_a_run_says_what_it_has(source, tmp_path):
    said = []
    fit(tmp_path / "run", source, dataclasses.replace(PRESET, steps=1), say=said.append)
    (text,) = (line for line in said if line.startswith("Images"))
    assert "21 of 4 × 4 × 1 from noise (all); 3 classes: 0, 1, 2" in text
    # Weights by hand: G 3 · 16 + 16, batch norm 4 · 16; D 9 · 3 + 3 and 12 + 1 and the
    # two vectors of each layer, 3 + 9 and 1 + 12; the dropout's seed, 2.
    assert "G with 128 weights, D with" in text
    assert "Steps     1 of 2 × 4 images for D and 4 for G, in float32" in text


@pytest.mark.slow
def test_a_folder_alone_says_what_is_trained(tmp_path, source, finished):
    shutil.copytree(finished, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    preset, options = resuming.started_with(folder)
    assert preset == PRESET.resolved() and options == OPTIONS
    assert resuming.started_with(RunFolder(tmp_path / "other")) is None
    longer = dataclasses.replace(preset, steps=8)
    assert fit(folder.path, source, longer, options).step == 8
    # What raised the end is known when the folder is next asked.
    assert resuming.started_with(folder)[0].steps == 8


def test_a_run_whose_images_moved_asks_where_they_are(tmp_path, finished, capsys):
    folder = RunFolder(tmp_path)
    config = RunFolder(finished).config()
    config["preset"]["data"] = "folder:before"
    folder.config_file.write_text(json.dumps(config))
    assert main(["fit", "--run", str(tmp_path)]) == 1
    assert "`--data` must say where" in capsys.readouterr().err
    assert not folder.checkpoints.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": None}, "damaged: `preset` is no JSON object"),
        ({"preset": {"steps": 1}}, "damaged: .*name"),
        ({"preset": {"flavour": 1}}, r"of another version: a Preset has no \['flavour"),
        ({"options": [1]}, "damaged: it must hold the fields of a RunOptions"),
    ],
)
def test_a_config_that_says_nothing_is_named(change, message, tmp_path, finished):
    folder = RunFolder(tmp_path)
    folder.config_file.write_text(
        json.dumps({**RunFolder(finished).config(), **change})
    )
    with pytest.raises(ValueError, match=f"config.json is {message}"):
        resuming.started_with(folder)


@pytest.mark.parametrize("name", ["a.pb", "a.npz", "folder"])
def test_a_damaged_network_to_score_by_is_found_before_anything_is_made(
    tmp_path, source, name
):
    file = tmp_path / name
    if name == "folder":
        file.mkdir()
        file = file / "saved_model.pb"
    file.write_bytes(b"\xff\x01 no network")
    options = dataclasses.replace(
        OPTIONS, score_every=1, inception=str(tmp_path / name)
    )
    with pytest.raises(ValueError, match=f"`inception` can't be used.*{name}"):
        fit(tmp_path / "run", source, options=options)
    assert not (tmp_path / "run").exists()
