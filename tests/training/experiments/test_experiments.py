"""The other experiments: what each varies, and what it measures."""

import argparse
import dataclasses
import json

import numpy as np
import pytest

from training.__main__ import main
from training.data import load
from training.evaluation.extractors import classifier_training
from training.experiments import EXPERIMENTS, imagenet, robustness
from training.experiments.imagenet import Similarity
from training.experiments.shared import common_options as options
from training.experiments.singular_values import restored
from training.runs.preset import SETTINGS
from training.storage.folder import RunFolder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_has_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["experiment", name, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert EXPERIMENTS[name][1:] in text and "--output" in text


def presets(found, tmp_path):
    for row in found["rows"]:
        yield row, RunFolder(tmp_path / "out" / row["run"]).config()["preset"]


@pytest.mark.slow
def test_n_dis(experiment, tmp_path, capsys):
    options = "--n-dis 1 2 --seeds 0 1 --methods spectral --steps 2".split()
    found = experiment("n-dis", *options)
    varied = [(row["n_dis"], row["seed"]) for row in found["rows"]]
    assert varied == [(1, 0), (1, 1), (2, 0), (2, 1)]
    for row, preset in presets(found, tmp_path):
        assert preset["discriminator_steps"] == row["n_dis"]
        assert preset["seed"] == row["seed"] and preset["learning_rate"] == 1e-3
    values = [row["scores"]["FD-quarters"] for row in found["rows"][:2]]
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    assert f"{mean:.4g} ± {deviation:.2g}" in capsys.readouterr().out


@pytest.mark.slow
def test_feature_dimension(experiment, data, tmp_path):
    options = "--factors 0.5 2 --methods orthonormal --steps 2".split()
    found = experiment("feature-dimension", *options)
    assert [row["factor"] for row in found["rows"]] == [0.5, 2.0]
    for row in found["rows"]:
        folder = RunFolder(tmp_path / "out" / row["run"])
        gan, _ = restored(folder, load(f"idx:{data}", image_size=12))
        channels = gan.discriminator.get_layer("conv").kernel.shape[-1]
        assert channels == 4 * row["factor"]


@pytest.mark.slow
def test_time(experiment, capsys):
    options = ["--rounds", "3", "--methods", "vanilla", "wgan-gp"]
    found = experiment("time", *options, scored=False)
    vanilla, penalized = found["rows"]
    assert vanilla["relative"] == 1.0 and found["base"]["discriminator_steps"] == 5
    for row in found["rows"]:
        low, high = row["quartiles"]
        assert 0 < low <= row["seconds_per_100_updates"] <= high
    assert f"{penalized['relative']:.3f}" in capsys.readouterr().out


@pytest.mark.slow
def test_reparametrization_measures_the_critic_on_new_images(
    experiment, data, tmp_path
):
    options = "--methods cnn-wgan-gp-spectral-gamma resnet-ac-wgan-gp --steps 4"
    options += " --every 2 --discriminator-steps 1 --setting D"
    with pytest.raises(SystemExit):  # the paper's rows have settings of their own
        experiment("reparametrization", *options.split())
    found = experiment("reparametrization", *options.split()[:-2])
    for row, preset in presets(found, tmp_path):
        assert preset["loss"] == "wasserstein" and preset["gradient_penalty"] == 10.0
        auxiliary = row["method"] == "resnet-ac-wgan-gp"
        assert preset["conditioning"] == ("auxiliary" if auxiliary else None)
        assert preset["normalizer"] == ("none" if auxiliary else "spectral-gamma")
        assert row["critic_loss"]["train"]["steps"] == [2, 4]
        folder = RunFolder(tmp_path / "out" / row["run"])
        test = load(f"idx:{data}", image_size=12, split="test")
        gan, _ = restored(folder, test)
        images, labels = test.sample(len(test))
        labels = labels if auxiliary else None
        sides = [(images + 0.5) / 128 - 1, gan.generate(len(images), 1, labels)]
        means = []
        for side in sides:
            out = gan.discriminator(side.astype(np.float32), training=False)
            means.append(np.mean(out["logits"] if auxiliary else out))
        curve = row["critic_loss"]["validation"]["values"]
        assert curve[-1] == pytest.approx(means[1] - means[0], abs=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*covariance is singular")
def test_imagenet_draws_curves_of_scores_and_likeness(
    experiment, tmp_path, monkeypatch
):
    monkeypatch.setattr(classifier_training, "MINIMUM_STEPS", 5)
    options = "--methods concat-none projection-spectral --steps 18 --every 9"
    options += " --ema 0.5 --similarity-images 5 --discriminator-steps 1"
    options += " --n-fake 30 --splits 1 --split-size 30"
    found = experiment("imagenet", *options.split(), scored=False)
    for row, preset in presets(found, tmp_path):
        conditioning, normalizer = row["method"].split("-")
        assert preset["conditioning"] == conditioning
        assert preset["normalizer"] == normalizer
        # The paper's ratios: 128 images of G to 64 of D, 1/9 of the steps with decay.
        assert preset["generator_batch_size"] == 8 and preset["decay_steps"] == 2
        assert set(row["curves"]) == {"CS", "FCD", "intra_ms_ssim"}
        for curve in row["curves"].values():
            assert curve["steps"] == [9, 18]
        # The last point and the last score are of the same generator and network.
        last = row["curves"]["FCD"]["values"][-1]
        assert row["scores"]["FCD"] == pytest.approx(last, rel=1e-3)
        assert row["weights"] == "ema"
    with pytest.raises(SystemExit):  # the curves know of no other network
        experiment("imagenet", "--classifier-seed", "3", scored=False)


class Pretender:
    """Stands for a GAN whose G makes given images of labels, and whose average too."""

    latent_dim, num_classes = 3, 3

    def __init__(self, of_label, averaged=None):
        self.generator = self.making(of_label)
        self.averaged = averaged and self.making(averaged)

    def making(self, of_label):
        return lambda inputs, training: np.stack([of_label(int(i)) for i in inputs[1]])

    def averaged_generator(self):
        return self.averaged


def test_similarity_is_1_for_a_collapsed_class(data):
    random = np.random.default_rng(0)
    fixed = random.uniform(-1, 1, (3, 12, 12, 1)).astype(np.float32)
    measure = Similarity(load(f"idx:{data}", image_size=12), classes=100, count=4)
    collapsed = measure(Pretender(lambda label: fixed[label]))

    def varying(label):
        return random.uniform(-1, 1, (12, 12, 1))

    varied = measure(Pretender(varying))
    assert collapsed["intra_ms_ssim"] == pytest.approx(1.0)
    assert varied["intra_ms_ssim"] < 0.2
    # The last scores are those of averaged weights where there are some.
    averaged = Pretender(varying, lambda label: fixed[label])
    assert measure(averaged)["intra_ms_ssim"] == pytest.approx(1.0)


@pytest.mark.parametrize(("ema", "values"), [(0.0, [3.0, 1.0]), (0.9, [5.0, 2.0])])
def test_curves_are_of_the_generator_that_the_last_scores_are_of(ema, values, tmp_path):
    folder = RunFolder(tmp_path)
    for step, last, averaged in ((1, 3.0, 5.0), (2, 1.0, 2.0)):
        entry = {"step": step, "scores/FCD": last, "intra_ms_ssim": 0.1}
        more = {"scores/ema_FCD": averaged} if ema else {}
        folder.append_metrics(entry | more)
    base = dataclasses.replace(imagenet._CONCAT, ema=ema)
    found = imagenet._curves(folder, base)
    assert set(found) == {"FCD", "intra_ms_ssim"}
    assert found["FCD"] == {"steps": [1, 2], "values": values}


@pytest.mark.parametrize(
    ("typed", "images"), [([], 5000), (["--small"], 1000), (["--n-fake", "70"], 70)]
)
def test_curves_rest_on_as_many_images_as_the_last_scores(
    typed, images, experiment, monkeypatch
):
    def stop(output, members, arguments, how, sources, measurements):
        (one,) = measurements
        assert how.score_images == one.by["n_fake"] == images
        raise ValueError("as far as this")

    monkeypatch.setattr(imagenet, "train_and_score", stop)
    experiment("imagenet", *typed, scored=False, code=1)


def test_no_other_number_of_images_can_be_asked_for(capsys):
    with pytest.raises(SystemExit):
        main("experiment imagenet --output x --score-images 50".split())
    assert "--score-images" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["singular-values", "spectral-norms"])
@pytest.mark.parametrize("field", vars(SETTINGS["C"]))
def test_what_the_figure_calls_setting_c_is_setting_c(name, field, capsys):
    option = f"--{field.replace('_', '-')}"
    with pytest.raises(SystemExit):
        main(["experiment", name, "--output", "x", option, "1"])
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err


def test_imagenet_needs_labels_and_pixels(experiment, tmp_path, capsys):
    experiment("imagenet", "--similarity-images", "1", scored=False, code=1)
    assert "`--similarity-images`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_small_is_a_setting_that_options_change():
    parser = argparse.ArgumentParser()
    robustness.add_arguments(parser)
    given = parser.parse_args(["--output", "x", "--small", "--steps", "7"])
    preset = options.base_preset(given, robustness._BASE)
    assert (preset.data, preset.image_size, preset.steps) == ("mnist5k", 32, 7)
    assert options.with_small_scores(given).n_fake == 1000
    full = options.base_preset(
        parser.parse_args(["--output", "x", "--data", "stl10"]), robustness._BASE
    )
    assert (full.image_size, full.steps, full.width_multiplier) == (48, 100_000, 1.0)
    assert json.dumps(full.as_dict())


@pytest.mark.parametrize(
    ("typed", "size"),
    [
        ("", 128),
        ("--data folder:photos", 128),
        ("--data idx:digits", 128),
        ("--data tfds:mine:train", 128),
        ("--data tfds:imagenet2012:train", 128),
        ("--data tfds:stl10", 48),
        ("--data tfds:cifar10:train[:50%]", 32),
        *((f"--data {name}", 32) for name in ("mnist5k", "cifar100", "fashion_mnist")),
        ("--small", 32),
        ("--small --data folder:photos", 32),
        ("--small --data stl10", 48),
        ("--data stl10 --image-size 64", 64),
    ],
)
def test_data_of_no_known_size_is_taken_at_the_experiments(typed, size):
    parser = argparse.ArgumentParser()
    imagenet.add_arguments(parser)
    given = parser.parse_args(["--output", "x", *typed.split()])
    assert options.base_preset(given, imagenet._CONCAT).image_size == size


@pytest.mark.slow
def test_comparison(experiment, tmp_path, capsys):
    options = "--methods spectral weight-clipping --steps 2 --rounds 2 --sample-every 2"
    found = experiment("comparison", *options.split(), scored=False)
    assert [row["method"] for row in found["rows"]] == ["spectral", "weight-clipping"]
    assert found["rows"][0]["relative"] == 1.0 and found["rounds"] == 2
    assert RunFolder(tmp_path / "out" / "runs" / "weight-clipping").generator.exists()
    assert "| seconds per update of G |" in capsys.readouterr().out
    experiment("comparison", "--methods", "magic", scored=False, code=1)
    assert "`--methods` must be some of" in capsys.readouterr().err
