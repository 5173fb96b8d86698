"""Figure 1, and what every grid of runs has to do: carry on, and score once."""

import dataclasses
import json
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sn_keras import SpectralNormalization
from training import GAN
from training.evaluation.evaluation import Evaluation
from training.evaluation.reports import load_reports
from training.experiments.shared import grid, results
from training.runs.callbacks import finiteness
from training.runs.callbacks.finiteness import NonFiniteError
from training.runs.preset import Preset
from training.storage.folder import RunFolder

IMAGES = SimpleNamespace(digest="a")
FEW = "--methods spectral gan-gp --settings C --steps 3".split()


def arrays(folder):
    (newest,) = sorted((folder / "checkpoints").glob("step-*.npz"))[-1:]
    with np.load(newest) as archive:
        return {name: archive[name] for name in archive.files if name != "metadata"}


def at_step(monkeypatch, step, act):
    """Calls `act(model)` before each step's check from a step on."""
    after = finiteness.Guard.after

    def acting(self, now, due, logs):
        if now >= step:
            act(self.model)
        after(self, now, due, logs)

    monkeypatch.setattr(finiteness.Guard, "after", acting)


def never(*arguments, **options):
    raise AssertionError("done twice")


@pytest.mark.slow
def test_robustness_has_a_scored_run_for_each_method_and_setting(
    experiment, tmp_path, capsys
):
    options = "--methods spectral wgan-gp --settings B C --steps 2"
    found = experiment("robustness", *options.split())
    text = capsys.readouterr().out
    cells = [(row["method"], row["setting"]) for row in found["rows"]]
    assert cells == [(m, s) for m in ("spectral", "wgan-gp") for s in "BC"]
    for row in found["rows"]:
        folder = RunFolder(tmp_path / "out" / row["run"])
        preset = folder.config()["preset"]
        assert preset["learning_rate"] == {"B": 1e-4, "C": 2e-4}[row["setting"]]
        assert preset["beta_2"] == 0.999 and preset["discriminator_steps"] == 1
        penalized = row["method"] == "wgan-gp"
        assert preset["gradient_penalty"] == (10.0 if penalized else 0.0)
        assert preset["loss"] == ("wasserstein" if penalized else "standard")
        (report,) = load_reports(folder)
        assert report.scores == row["scores"] and row["step"] == 2
        assert f"{row['scores']['FD-quarters']:.4g}" in text
    assert found["conditions"]["n_fake"] == 30 and found["conditions"]["n_real"] == 40
    assert found["real_against_real"]["FD-quarters"] < report.scores["FD-quarters"]
    assert "| FD-quarters by setting |" in text


@pytest.mark.slow
def test_a_stopped_experiment_is_carried_on_and_nothing_is_done_twice(
    experiment, tmp_path, monkeypatch, capsys
):
    whole = experiment("robustness", *FEW, output="whole")
    with monkeypatch.context() as patch:

        def interrupt(model):
            if model.gradient_penalty is not None:  # the second run
                os.kill(os.getpid(), signal.SIGINT)

        at_step(patch, 2, interrupt)
        experiment("robustness", *FEW, code=130)
    assert "Stopped in gan-gp-C-seed0 at step 2" in capsys.readouterr().err
    assert not (tmp_path / "out" / "robustness.json").exists()
    resumed = experiment("robustness", *FEW)
    assert resumed["rows"] == whole["rows"]
    for row in whole["rows"]:
        one, two = (arrays(tmp_path / name / row["run"]) for name in ("out", "whole"))
        assert one.keys() == two.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
    monkeypatch.setattr(GAN, "fit", never)
    monkeypatch.setattr(Evaluation, "score_run", never)
    assert experiment("robustness", *FEW) == resumed


@pytest.mark.slow
def test_a_run_that_diverges_is_a_result(experiment, monkeypatch, capsys):
    with monkeypatch.context() as patch:

        def diverge(model):
            if model.gradient_penalty is not None:
                raise NonFiniteError("The loss is not finite at step 2.")

        at_step(patch, 2, diverge)
        found = experiment("robustness", *FEW)
    good, bad = found["rows"]
    assert good["diverged"] is None and good["scores"]
    assert "at step 2" in bad["diverged"] and bad["scores"] == {}
    assert "diverged |" in capsys.readouterr().out
    monkeypatch.setattr(GAN, "fit", never)
    assert experiment("robustness", *FEW)["rows"] == found["rows"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "spectral", "magic"], "'weight-norm'"),
        (["--settings", "G"], "`--settings` must be some of ['A',"),
        (["--seeds", "0", "0"], "`--seeds` must be values, each once"),
        (["--seeds", "-1"], "`--seeds` must be an integer from 0"),
        (["--steps", "0"], "`--steps`"),
        (["--n-fake", "1"], "`--n-fake`"),
        (["--inception", "nowhere.pth"], "`--inception` must be a file that exists"),
        (["--inception", __file__], "must not be given with another extractor"),
        (
            ["--extractor", "inception", "--inception", __file__],
            "must be a .pth, .npz or .pb file",
        ),
        (["--extractor", "nowhere.keras"], "'nowhere.keras'"),
        (["--scored-split", "nope"], "'nope'"),
        (["--data", "nowhere"], "'nowhere'"),
        (["--checkpoint-every", "0"], "`--checkpoint-every`"),
        (["--classifier-seed", "-1"], "`--classifier-seed` must be an integer from 0"),
        (["--cache", __file__], "`--cache` must be a folder"),
    ],
)
def test_wrong_options_are_named_before_anything_is_written(
    options, message, experiment, tmp_path, capsys
):
    experiment("robustness", *options, code=1)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("n-dis", ["--n-dis", "0"], "`--n-dis` must be an integer of 1"),
        ("n-dis", ["--n-dis", "1", "1"], "`--n-dis` must be values, each once"),
        ("feature-dimension", ["--factors", "0"], "`--factors` must be a number above"),
        ("reparametrization", ["--every", "0"], "`--every` must be an integer of 1"),
        ("spectral-norms", ["--every", "-1"], "`--every` must be an integer of 1"),
        ("time", ["--rounds", "0"], "`--rounds` must be an integer of 1"),
        ("comparison", ["--rounds", "0"], "`--rounds` must be an integer of 1"),
    ],
)
def test_what_an_experiment_alone_has_is_named(
    name, options, message, experiment, tmp_path, capsys
):
    scored = name not in ("spectral-norms", "time", "comparison")
    experiment(name, *options, scored=scored, code=1)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["robustness", "time", "comparison"])
def test_a_file_is_no_output(name, experiment, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    scored = name == "robustness"
    experiment(name, scored=scored, code=1)
    assert "`--output` must be a folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.slow
def test_a_finished_folder_is_not_taken_for_what_it_is_not(
    experiment, tmp_path, capsys
):
    """Fewer steps, other steps measured, an experiment that measured nothing."""
    few = ["--methods", "spectral", "--steps", "4", "--every", "2"]
    found = experiment("spectral-norms", *few, scored=False)
    again = experiment("spectral-norms", *few, scored=False)
    assert found["rows"] == again["rows"]
    # Other executions measure at other steps, and are no other experiment.
    together = [*few, "--steps-per-execution", "4"]
    assert (
        experiment("spectral-norms", *together, scored=False)["rows"] == again["rows"]
    )
    for changed, message in (
        (["--steps", "3"], "`--steps` must be 4 or more"),
        (["--every", "1"], "measured every 1 steps. Received: "),
    ):
        experiment("spectral-norms", *few, *changed, scored=False, code=1)
        assert message in capsys.readouterr().err
    critics = "--methods cnn-wgan-gp --steps 2 --every 2 --critic-images".split()
    critics += ["9", "--discriminator-steps", "1"]
    experiment("reparametrization", *critics, output="critics")
    again = [*critics, "--critic-images", "8"]
    experiment("reparametrization", *again, output="critics", code=1)
    assert "`--critic-images` must be 9, by which" in capsys.readouterr().err
    few = ["--methods", "spectral", "--steps", "2"]
    experiment("singular-values", *few, scored=False, output="other")
    scored = [*few, "--score-every", "1"]
    experiment("singular-values", *scored, scored=False, output="other", code=1)
    assert "for `--score-every`" in capsys.readouterr().err
    experiment("spectral-norms", *few, scored=False, output="other", code=1)
    assert "which wasn't at step 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "3", '{"message": 1, "preset": 3}', "\xff", '{"message": "x"}'],
)
def test_a_damaged_note_of_a_divergence_is_none(text, tmp_path):
    (tmp_path / grid._DIVERGED).write_bytes(text.encode("latin-1"))
    preset = Preset("a", "b", "mnist5k")
    assert grid._known_to_diverge(RunFolder(tmp_path), preset, IMAGES) is None


def test_a_divergence_of_a_version_with_fewer_fields_is_known(tmp_path):
    preset = Preset("a", "b", "mnist5k")
    fields = {k: v for k, v in preset.as_dict().items() if k != "flips"}
    note = {"message": "at step 2", "preset": fields}
    (tmp_path / grid._DIVERGED).write_text(json.dumps(note))
    assert grid._known_to_diverge(RunFolder(tmp_path), preset, IMAGES) == "at step 2"


@pytest.mark.parametrize(
    ("changed", "digest", "known"),
    [
        ({}, "a", True),
        ({"steps": 600}, "a", True),
        ({"steps": 100}, "a", False),
        ({}, "b", False),
        ({"decay_steps": 100}, "a", False),
    ],
)
def test_a_divergence_of_other_images_or_another_schedule_is_none(
    changed, digest, known, tmp_path
):
    preset = Preset("a", "b", "mnist5k", steps=300, decay_steps=0)
    note = {"message": "at step 2", "preset": preset.as_dict(), "data": "a"}
    (tmp_path / grid._DIVERGED).write_text(json.dumps(note))
    preset = dataclasses.replace(preset, **changed)
    images = SimpleNamespace(digest=digest)
    found = grid._known_to_diverge(RunFolder(tmp_path), preset, images)
    assert (found is not None) == known


def test_where_the_rate_falls_the_end_decides_each_step(tmp_path):
    preset = Preset("a", "b", "mnist5k", steps=300, decay_steps=100)
    note = {"message": "at step 2", "preset": preset.as_dict(), "data": "a"}
    (tmp_path / grid._DIVERGED).write_text(json.dumps(note))
    for steps, known in ((300, True), (3000, False)):
        longer = dataclasses.replace(preset, steps=steps)
        found = grid._known_to_diverge(RunFolder(tmp_path), longer, IMAGES)
        assert (found is not None) == known


def test_scores_by_inception_need_no_other_option(experiment, tmp_path, capsys):
    """`n_fake` is there if it was typed; an experiment has scores without it too."""
    file = str(tmp_path / "nowhere.npz")
    options = ["--inception", file, "--small", "--methods", "spectral"]
    experiment("robustness", *options, scored=False, code=1)
    assert "`--inception` must be a file that exists" in capsys.readouterr().err


def test_labels_are_asked_for_before_the_first_run(experiment, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.new("L", (12, 12), 30 * i).save(tmp_path / "photos" / f"{i}.png")
    options = ["--methods", "cnn-wgan-gp", "resnet-ac-wgan-gp", "--steps", "1"]
    experiment("reparametrization", *options, "--data", tmp_path / "photos", code=1)
    assert "`conditioning` 'auxiliary' needs labels" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("config.json"))


@pytest.mark.slow
def test_scores_are_those_of_evaluate(experiment, tmp_path):
    """Of averaged weights, and of no report with other latents."""
    one = "--methods spectral --settings C --steps 3 --ema 0.5".split()
    (row,) = experiment("robustness", *one)["rows"]
    run = tmp_path / "out" / row["run"]
    (report,) = load_reports(RunFolder(run))
    assert row["weights"] == report.weights == "ema"
    path = next((run / "scores").glob("*.json"))
    other = json.loads(path.read_text())
    other["seed"], other["scores"]["FD-quarters"] = 7, 0.0
    path.write_text(json.dumps(other))
    assert experiment("robustness", *one)["rows"] == [row]


@pytest.mark.slow
def test_a_kernel_that_is_nan_where_it_is_measured_is_a_divergence(
    experiment, monkeypatch, capsys
):
    def poison(model):
        layer = model.discriminator.get_layer("conv")
        if not isinstance(layer, SpectralNormalization):
            layer.kernel.assign(np.full(layer.kernel.shape, np.nan))

    few = "--methods vanilla spectral --steps 3 --every 2".split()
    with monkeypatch.context() as patch:
        at_step(patch, 2, poison)
        found = experiment("spectral-norms", *few, scored=False)
    assert "conv/kernel is not finite at step 2" in found["diverged"]["vanilla-seed0"]
    assert {row["method"] for row in found["rows"]} == {"spectral"}
    assert "vanilla-seed0 diverged" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["robustness", "singular-values", "time"])
def test_a_folder_without_images_is_named(name, experiment, tmp_path, capsys):
    scored = name == "robustness"
    experiment(name, "--data", tmp_path, code=1, scored=scored)
    assert "`--data` must be images that can be loaded" in capsys.readouterr().err


def test_data_without_labels_need_inception(experiment, tmp_path, capsys):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for i in range(4):
        Image.new("L", (12, 12), i).save(photographs / f"{i}.png")
    options = ["--data", photographs, "--extractor", "classifier"]
    experiment("n-dis", *options, code=1)
    assert "needs images with labels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_several_workers_are_refused(experiment, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    experiment("time", "--rounds", "1", "--methods", "vanilla", scored=False)
    experiment("robustness", code=1)
    assert "TF_CONFIG" in capsys.readouterr().err


def test_summaries_count_seeds_and_what_diverged():
    rows = [
        {"method": "a", "x": 1, "scores": {"IS": 2.0}},
        {"method": "a", "x": 1, "scores": {"IS": 4.0}},
        {"method": "a", "x": 1, "scores": {}},
        {"method": "a", "x": 2, "scores": {}},
        {"method": "b", "x": 2, "scores": {"IS": 5.0}},
    ]
    found = results.summary(rows, "IS", method="a", x=1)
    # The sample deviation of 2 and 4 is √2.
    assert (found.mean, found.count, found.diverged) == (3.0, 2, 1)
    assert found.deviation == pytest.approx(2**0.5)
    lines = results.pivot(rows, "method", "x", "IS").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["IS by x", "1", "2"]
    assert cells[2] == ["a", "3 ± 1.4 (1 diverged)", "diverged"]
