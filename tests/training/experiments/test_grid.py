"""Figure 1, and what every grid of runs has to do: carry on, and score once."""

import os
import signal

import numpy as np
import pytest
from PIL import Image

from training import GAN
from training.evaluation.evaluation import Evaluation
from training.evaluation.reports import load_reports
from training.experiments.shared import results
from training.runs.callbacks import finiteness
from training.runs.callbacks.finiteness import NonFiniteError
from training.storage.folder import RunFolder

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
        (["--seeds", "0", "0"], "twice"),
        (["--seeds", "-1"], "seed"),
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
    ],
)
def test_wrong_options_are_named_before_anything_is_written(
    options, message, experiment, tmp_path, capsys
):
    experiment("robustness", *options, code=1)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
