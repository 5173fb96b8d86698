"""A run's evaluation from its folder to JSON, TensorBoard, tables and the plot."""

import dataclasses
import gzip
import hashlib
import json
import struct
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from training import GAN
from training.__main__ import main
from training.arguments import Parser
from training.data import ArraySource, load
from training.evaluation import (
    compare,
    intra_frechet_distance,
    intra_ms_ssim,
    scoring_options,
)
from training.evaluation import evaluation as evaluate
from training.evaluation.evaluation import Evaluation
from training.evaluation.extractors import KerasExtractor
from training.evaluation.extractors.extraction import Extracted, extract
from training.evaluation.extractors.feature_extractor import ScoreNames
from training.evaluation.generation import generated_batches
from training.evaluation.generators import load_generator, step_of
from training.evaluation.in_training import score_callback
from training.evaluation.protocol import PROTOCOLS, Protocol
from training.evaluation.real_images import labelled, real_features
from training.evaluation.reports import CONDITIONS, Report, load_reports, save_report
from training.evaluation.scores.inception_score import inception_score
from training.storage.folder import RunFolder
from training.storage.tensorboard import Events

SMALL = Protocol("small", 60, 40, 2, 30, "test")


def write_idx(folder, name, count, seed):
    """Bright squares in one of three corners of 12 px images, as IDX files."""
    random = np.random.RandomState(seed)
    labels = (np.arange(count) % 3).astype(np.uint8)
    images = random.randint(0, 60, (count, 12, 12)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[row * 6 : row * 6 + 6, column * 6 : column * 6 + 6] += 120
    shapes = {"images-idx3": (images, 3), "labels-idx1": (labels, 1)}
    for kind, (values, rank) in shapes.items():
        header = struct.pack(f">4B{rank}I", 0, 0, 8, rank, *values.shape)
        with gzip.open(folder / f"{name}-{kind}-ubyte.gz", "wb") as file:
            file.write(header + values.tobytes())


def generator(conditional, seed=0):
    latents = keras.Input((4,), name="latents")
    inputs, x = latents, latents
    if conditional:
        labels = keras.Input((), dtype="int32", name="labels")
        inputs = [latents, labels]
        x = keras.layers.Add()([x, keras.layers.Embedding(3, 4)(labels)])
    x = keras.layers.Dense(
        144, "tanh", kernel_initializer=keras.initializers.GlorotUniform(seed)
    )(x)
    return keras.Model(inputs, keras.layers.Reshape((12, 12, 1), name="images")(x))


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """Makes run folders as `fit` leaves them, on a data set of IDX files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    data.mkdir()
    write_idx(data, "train", 150, seed=0)
    write_idx(data, "t10k", 90, seed=1)

    def make(name="a", conditional=False, seed=0):
        folder = RunFolder(tmp_path / name)
        folder.open(
            {
                "preset": {"data": f"idx:{data}", "name": "toy"},
                "data": {
                    "image_shape": [12, 12, 1],
                    "num_classes": 3,
                    "digest": load(f"idx:{data}").digest,
                },
                "generator": {
                    "latent_dim": 4,
                    "num_classes": 3 if conditional else None,
                },
            }
        )
        generator(conditional, seed).save(folder.generator)
        (folder.checkpoints / "step-00000300.npz").write_bytes(b"")
        (folder.checkpoints / "step-00000700.npz").write_bytes(b"")
        return folder

    return make


@pytest.fixture
def pixels():
    """Four features, the quarters' means, and three logits."""
    images = keras.Input((12, 12, 1))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(6)(images))
    dense = keras.layers.Dense(
        3, kernel_initializer=keras.initializers.GlorotUniform(seed=0)
    )
    return KerasExtractor(keras.Model(images, [x, dense(x)]), "quarters")


def sources(folder):
    from training.evaluation.real_images import run_source

    return run_source(folder, "test"), run_source(folder, "train")


def test_protocols_are_the_papers():
    paper, large = PROTOCOLS["paper"], PROTOCOLS["50k"]
    assert (paper.n_real, paper.n_fake, paper.split) == (10_000, 5_000, "test")
    assert (paper.splits, paper.split_size, paper.generated) == (10, 5_000, 50_000)
    assert (large.n_real, large.n_fake, large.split) == (50_000, 50_000, "train")


@pytest.mark.parametrize(
    ("typed", "n_fake", "splits", "split_size"),
    [
        ([], 5000, 10, 5000),
        (["--n-fake", "50"], 50, 10, 50),
        (["--n-fake", "9000"], 9000, 10, 5000),
        (["--n-fake", "50", "--split-size", "100"], 50, 10, 100),
    ],
)
def test_few_images_are_few_for_the_inception_score_too(
    typed, n_fake, splits, split_size
):
    parser = Parser()
    scoring_options.add_options(parser)
    found = scoring_options.protocol(parser.parse_args(typed))
    sizes = (found.n_fake, found.splits, found.split_size)
    assert sizes == (n_fake, splits, split_size)


@pytest.mark.slow
def test_report_holds_scores_and_all_they_rest_on(make_run, pixels, tmp_path):
    folder = make_run()
    real, others = sources(folder)
    evaluation = Evaluation(
        pixels, SMALL, real, others, cache=tmp_path / "cache", batch_size=16
    )
    report = evaluation.score_run(folder)
    assert set(report.scores) == {
        "FD-quarters",
        "PS-quarters",
        "PS-quarters deviation",
        "KD-quarters",
        "KD-quarters deviation",
        "precision",
        "recall",
        "density",
        "coverage",
        "MS-SSIM",
    }
    assert report.step == 700 and report.weights == "last"
    conditions = report.conditions
    assert conditions["n_real"] == 60 and conditions["n_fake"] == 40
    assert conditions["split"] == "test" and conditions["image_shape"] == [12, 12, 1]
    assert conditions["graph"] == pixels.identity
    assert {"keras", "tensorflow", "sn_keras"} <= set(report.versions)
    # Real images stand much nearer to real ones than random generators' do.
    assert report.real_against_real["FD-quarters"] < report.scores["FD-quarters"] / 10
    assert report.real_against_real["n_fake"] == 40

    again = evaluation.score_run(folder)
    assert again.scores == pytest.approx(report.scores, rel=1e-6)
    other_seed = Evaluation(pixels, SMALL, real, seed=1, cache=tmp_path / "cache")
    assert other_seed.score_run(folder).scores != report.scores


def test_real_features_are_cached(make_run, pixels, tmp_path):
    folder = make_run()
    real, _ = sources(folder)
    for expected in ({"real images (test)", "generated images"}, {"generated images"}):
        shown = set()

        def progress(label, shown=shown):
            return lambda done, total: shown.add(label)

        Evaluation(
            pixels, SMALL, real, cache=tmp_path / "cache", progress=progress
        ).score_run(folder)
        assert shown == expected


@pytest.mark.filterwarnings("ignore:A class has")
def test_conditional_runs_get_intra_class_scores(make_run, pixels, tmp_path):
    folder = make_run(conditional=True)
    real, train = sources(folder)
    report = Evaluation(
        pixels, SMALL, real, intra=20, intra_real=train, cache=tmp_path / "cache"
    ).score_run(folder)
    labels = np.arange(60) % 3
    batches = generated_batches(
        load_generator(folder), 60, seed=1, latent_dim=4, num_classes=3
    )
    fake = extract(pixels, batches, 60)
    np.testing.assert_array_equal(fake.labels, labels)
    images, real_labels = train.sample(len(train))
    expected = intra_frechet_distance(
        pixels(images)[0], real_labels, fake.features, fake.labels
    )
    value = report.scores["intra FD-quarters (20)"]
    assert value == pytest.approx(expected.mean, rel=1e-5)


def test_classes_without_real_images_are_told_before_any_is_generated(
    make_run, pixels, tmp_path, monkeypatch
):
    folder = make_run(conditional=True)
    real, train = sources(folder)
    images, labels = train.sample(len(train))
    few = ArraySource(images[labels < 2], labels[labels < 2])
    evaluation = Evaluation(
        pixels, SMALL, real, intra=20, intra_real=few, cache=tmp_path / "cache"
    )
    monkeypatch.delattr(evaluate, "generated_batches")
    with pytest.raises(ValueError, match=r"`intra` .* 3 classes .* classes \[0, 1\]"):
        evaluation.score_run(folder)


def test_evaluate_refuses(make_run, pixels, tmp_path):
    folder = make_run()
    wrong = ArraySource(np.zeros((50, 16, 16, 1), np.uint8))
    with pytest.raises(ValueError, match="run's shape"):
        Evaluation(pixels, SMALL, wrong, cache=tmp_path).score_run(folder)
    real, _ = sources(folder)
    evaluation = Evaluation(pixels, SMALL, real, cache=tmp_path)
    with pytest.raises(ValueError, match="generator-ema.keras; .*--ema"):
        evaluation.score_run(folder, "ema")
    with pytest.raises(ValueError, match="`weights` must be one of"):
        evaluation.score_run(folder, "first")
    with pytest.raises(ValueError, match="no config.json"):
        evaluation.score_run(RunFolder(tmp_path / "nothing"))


@pytest.mark.slow
def test_real_images_get_the_inception_score_of_as_many(make_run, pixels, tmp_path):
    """Of 2 × 30, as the generated ones; of 40, which all else takes, it is lower."""
    real, others = sources(make_run())
    evaluation = Evaluation(pixels, SMALL, real, others, cache=tmp_path)
    found = evaluation.score_real()
    logits = real_features(pixels, others, 60, tmp_path).logits
    assert found["PS-quarters"] == pytest.approx(inception_score(logits, 2)[0])
    assert found["n_fake"] == 40


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*covariance is singular")
def test_classes_with_one_image_have_no_pair(make_run, pixels, tmp_path):
    folder = make_run(conditional=True)
    real, _ = sources(folder)
    for seed in range(4):
        protocol = Protocol("few", 60, 2, 1, 2, "test")
        one = Evaluation(pixels, protocol, real, cache=tmp_path, seed=seed)
        with pytest.warns(UserWarning, match="need"):
            scores = one.score_run(folder).scores
        drawn = generated_batches(load_generator(folder), 2, 2, seed, 4, num_classes=3)
        _, labels = next(drawn)
        assert ("MS-SSIM" in scores) == (labels[0] == labels[1])


@pytest.mark.slow
def test_images_with_other_pixels_do_not_compare(make_run, pixels, tmp_path):
    folder = make_run()
    images = np.zeros((60, 12, 12, 1), np.uint8)
    conditions = [
        Evaluation(pixels, SMALL, ArraySource(one, name="mine"), cache=tmp_path)
        .score_run(folder)
        .conditions
        for one in (images, images, images + np.uint8(1))
    ]
    assert conditions[0] == conditions[1] != conditions[2]


@pytest.mark.parametrize("fault", ["damaged report", "no such generator"])
def test_what_is_wrong_is_said_before_a_classifier_is_trained(
    make_run, tmp_path, capsys, monkeypatch, fault
):
    folder = make_run()
    command = ["evaluate", str(folder.path), "--cache", str(tmp_path / "cache")]
    if fault == "damaged report":
        save_report(folder, make_report(300, 50.0)).write_text("{")
        said = "is damaged"
    else:
        command, said = [*command, "--weights", "best"], "generator-best.keras"
    monkeypatch.setattr("training.evaluation.choice.load_classifier", pytest.fail)
    assert main(command) == 1
    assert said in capsys.readouterr().err


def test_a_file_that_is_no_model_is_no_extractor(make_run, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("notes.txt", "no model")
    command = ["evaluate", str(make_run().path), "--cache", str(tmp_path / "cache")]
    assert main([*command, "--extractor", str(tmp_path / "other.keras")]) == 1
    assert "`--extractor` can't be used" in capsys.readouterr().err


def make_report(step, value, weights="last", seed=0, **conditions):
    return Report(
        step=step,
        weights=weights,
        scores={"FID": value, "IS": 7.0, "IS deviation": 0.1, "recall": 0.5},
        conditions={name: name for name in CONDITIONS} | conditions,
        seed=seed,
        versions={},
        protocol="paper",
        real_against_real={"FID": 7.8},
    )


def scalars(folder):
    """All scalars in a run's logs: (series, tag, step) → value, each once."""
    found = {}
    for path in sorted(folder.logs.rglob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                key = (path.parent.name, value.tag, event.step)
                assert key not in found
                found[key] = float(tf.make_ndarray(value.tensor))
    return found


def test_gan_test_is_the_share_that_is_named_as_asked():
    features = np.random.RandomState(0).normal(size=(40, 3)).astype(np.float32)
    labels = np.arange(40, dtype=np.int32) % 3
    logits = np.eye(3, dtype=np.float32)[
        np.where(np.arange(40) < 10, 1 + labels, labels) % 3
    ]
    names = ScoreNames("FCD", "CS", "KCD", accuracy="GAN-test")
    asked = Extracted(features, logits, labels)
    assert evaluate.score(asked, asked, SMALL, names)["GAN-test"] == 0.75
    of_none = Extracted(features, logits)
    assert "GAN-test" not in evaluate.score(asked, of_none, SMALL, names)
    of_others = evaluate.score(asked, asked, SMALL, ScoreNames("FID", "IS", "KID"))
    assert not {"GAN-test", None} & of_others.keys()


def test_images_without_labels_need_another_network():
    source = ArraySource(np.zeros((4, 8, 8, 3), np.uint8), name="mine")
    with pytest.raises(ValueError, match="labels .*`--inception`.* 'mine' without"):
        labelled(source)


def test_saved_reports_make_a_curve_without_doubles(make_run):
    folder = make_run()
    for report in (
        make_report(300, 50.0),
        make_report(700, 40.0),
        make_report(700, 38.0),
        make_report(700, 35.0, seed=1),
        make_report(700, 31.0, graph="another"),
        make_report(700, 30.0, "ema"),
    ):
        path = save_report(folder, report)
    network = "extractor-" + hashlib.sha256(b"graph").hexdigest()[:8]
    assert path.name == f"step-00000700-{network}-paper-ema.json"
    assert json.loads(path.read_text())["scores"]["FID"] == 30.0
    found = scalars(folder)
    last, ema = (f"scores-{network}-paper-{weights}" for weights in ("last", "ema"))
    assert found[last, "scores/FID", 300] == 50.0
    assert found[last, "scores/FID", 700] == 38.0
    assert found[f"{last}-seed1", "scores/FID", 700] == 35.0
    assert found[ema, "scores/FID", 700] == 30.0
    assert found[last, "scores/IS_deviation", 700] == pytest.approx(0.1)
    reports = load_reports(folder)
    assert [report.step for report in reports] == [300, 700, 700, 700, 700]


def test_a_report_keeps_scores_that_the_new_one_was_not_asked_for(make_run):
    folder = make_run()
    dear = make_report(300, 50.0)
    dear.scores["intra FID (5000)"] = 80.0
    save_report(folder, dear)
    plain = dataclasses.replace(make_report(300, 49.0), real_against_real={})
    save_report(folder, plain)
    (found,) = load_reports(folder)
    assert (found.scores["FID"], found.scores["intra FID (5000)"]) == (49.0, 80.0)
    assert found.real_against_real == {"FID": 7.8}
    # Of other images it would say something else.
    save_report(folder, make_report(300, 48.0, images="others"))
    (found,) = load_reports(folder)
    assert "intra FID (5000)" not in found.scores


@pytest.mark.parametrize(
    "change",
    [{"scores": {"FID": None}}, {"real_against_real": None}, {"step": "2"}, None],
)
def test_damaged_report_is_named(make_run, change):
    folder = make_run()
    path = save_report(folder, make_report(300, 50.0))
    whole = json.loads(path.read_text())
    path.write_text("{" if change is None else json.dumps({**whole, **change}))
    with pytest.raises(ValueError, match=r"step-00000300.* is damaged"):
        load_reports(folder)


@pytest.mark.slow
def test_compare_keeps_apart_what_does_not_compare(make_run, tmp_path, capsys):
    first, second = make_run("a"), make_run("b")
    save_report(first, make_report(300, 50.0))
    save_report(first, make_report(700, 40.0))
    save_report(first, make_report(700, 38.0, "ema"))
    save_report(first, make_report(700, 39.0, "ema", seed=2))
    save_report(second, make_report(700, 30.5))
    save_report(second, make_report(900, 12.0, extractor="other", n_fake=50_000))
    groups = compare.group_reports([first, second])
    assert len(groups) == 2
    assert list(groups[0].runs) == ["a", "a (ema)", "a (ema, seed 2)", "b"]
    plot = tmp_path / "plots" / "scores.png"
    assert (
        main(["compare", str(first.path), str(second.path), "--plot", str(plot)]) == 0
    )
    text = capsys.readouterr().out
    assert "7 ± 0.1" in text and "30.5" in text and "real against real" in text
    assert "don't compare" in text
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    assert ["", "a", "700", "40", "7 ± 0.1", "0.5", ""] in rows
    assert ["", "a (ema)", "700", "38", "7 ± 0.1", "0.5", ""] in rows
    assert plot.read_bytes().startswith(b"\x89PNG") and plot.stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("FID", True),
        ("intra FCD (20)", True),
        ("FD-quarters", True),
        ("KD-quarters", True),
        ("intra FD-quarters (5)", True),
        ("MS-SSIM", True),
        ("IS", False),
        ("PS-KD", False),
        ("recall", False),
    ],
)
def test_compare_knows_what_is_better(name, lower):
    assert compare.lower_is_better(name) == lower


def test_error_bars_stay_at_their_points():
    """Also where an earlier report lacks the score."""
    from matplotlib.figure import Figure

    reports = [make_report(step, float(step)) for step in (1, 2, 3)]
    for report, deviation in zip(reports, (0.1, 0.2, 0.3), strict=True):
        report.scores["IS deviation"] = deviation
    del reports[0].scores["IS"]
    axis = Figure().subplots()
    compare._panel(axis, compare.Group(reports[0].conditions, {"a": reports}), "IS")
    (bars,) = axis.containers
    (lines,) = bars.lines[2]
    lengths = [(b - a) / 2 for (_, a), (_, b) in lines.get_segments()]
    assert lengths == pytest.approx([0.2, 0.3])


def test_compare_needs_reports(make_run, capsys):
    assert main(["compare", str(make_run().path)]) == 1
    assert "must have been scored" in capsys.readouterr().err


def test_step_of_a_run_without_checkpoints(tmp_path):
    assert step_of(RunFolder(tmp_path)) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*covariance is singular")
def test_command_with_the_classifier(make_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "training.evaluation.extractors.classifier_training.MINIMUM_STEPS", 40
    )
    folder, cache = make_run(), tmp_path / "cache"
    arguments = ["evaluate", str(folder.path), "--cache", str(cache)]
    arguments += ["--n-fake", "60", "--splits", "2", "--split-size", "30"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    (report,) = load_reports(folder)
    assert report.conditions["extractor"] == "classifier"
    assert report.conditions["n_real"] == 90 and report.conditions["n_fake"] == 60
    assert report.real_against_real["FCD"] < report.scores["FCD"]
    assert "FCD" in printed and "FID" not in printed and "CS" in printed
    assert "test accuracy" in printed and "n_real      90" in printed
    assert ("scores-" + report.series, "scores/FCD", 700) in scalars(folder)
    # The classifier comes from the cache now.
    assert main(["classifier", str(folder.path), "--cache", str(cache)]) == 0
    assert "Training" not in capsys.readouterr().out
    # As a file it is the same network, and says so if its card is another's.
    (file,) = cache.glob("classifier-*.keras")
    assert main([*arguments, "--extractor", str(file)]) == 0
    (again,) = load_reports(folder)
    assert again.scores == report.scores and again.conditions == report.conditions
    card = file.with_suffix(".json")
    for damaged, message in (("{}", "tell of a classifier"), ("1", "tell of a")):
        card.write_text(damaged)
        assert main([*arguments, "--extractor", str(file)]) == 1
        assert message in capsys.readouterr().err


def test_command_with_a_keras_model(make_run, pixels, tmp_path, capsys):
    folder, cache = make_run(), tmp_path / "cache"
    pixels._model.save(tmp_path / "quarters.keras")
    arguments = ["evaluate", str(folder.path), "--cache", str(cache), "--no-baseline"]
    arguments += ["--n-fake", "50", "--splits", "2", "--split-size", "25"]
    arguments += ["--extractor", str(tmp_path / "quarters.keras")]
    assert main(arguments) == 0
    assert "FD-quarters" in capsys.readouterr().out
    assert load_reports(folder)[0].real_against_real == {}


@pytest.mark.parametrize(
    ("few", "other", "scores", "baseline"),
    [
        (2, 3, {"FD-quarters"}, {"FD-quarters", "PS-quarters"}),
        (4, 90, {"precision", "recall"}, {"precision"}),
        (6, 90, {"precision", "density", "coverage"}, {"density"}),
        (6, 1, {"precision", "density", "coverage"}, set()),
    ],
)
@pytest.mark.filterwarnings("ignore:.*covariance is singular")
@pytest.mark.filterwarnings("ignore:Precision and recall need")
def test_few_real_images_have_the_scores_that_they_allow(
    make_run, pixels, tmp_path, few, other, scores, baseline
):
    folder = make_run()
    test, train = (source.sample(90)[0] for source in sources(folder))
    report = Evaluation(
        pixels,
        SMALL,
        ArraySource(test[:few]),
        ArraySource(train[:other]),
        cache=tmp_path,
    ).score_run(folder)
    assert scores <= set(report.scores)
    assert ("precision" in report.scores) == (few >= 4)
    assert ("density" in report.scores) == (few >= 6)
    assert baseline <= set(report.real_against_real)
    assert bool(report.real_against_real) == (other >= 2)


def test_one_real_image_is_too_few(make_run, tmp_path, capsys):
    run = make_run()
    write_idx(tmp_path / "data", "t10k", 1, seed=1)
    assert main(["evaluate", str(run.path), "--cache", str(tmp_path)]) == 1
    assert "2 images or more in the split 'test'" in capsys.readouterr().err


def test_no_classifier_is_trained_for_a_sensitivity_that_can_not_be(
    make_run, tmp_path, capsys
):
    run = make_run()
    for path in (tmp_path / "data").glob("t10k*"):
        path.unlink()
    command = ["classifier", str(run.path), "--cache", str(tmp_path), "--sensitivity"]
    assert main(command) == 1
    assert "`--sensitivity` needs further images" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.keras"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*covariance is singular")
def test_scores_in_training_keep_the_best(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "training.evaluation.extractors.classifier_training.MINIMUM_STEPS", 40
    )
    folder = make_run()
    images = keras.Input((12, 12, 1))
    discriminator = keras.Model(
        images, keras.layers.Dense(1)(keras.layers.Flatten()(images))
    )
    gan = GAN(generator(False), discriminator, latent_dim=4, discriminator_steps=1)
    gan.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2))
    events = Events(folder.logs)
    callback = score_callback(
        folder, events, every=2, last_step=5, count=150, cache=tmp_path / "cache"
    )
    real = np.random.RandomState(0).uniform(-1, 1, (80, 12, 12, 1)).astype("float32")
    gan.fit(real, batch_size=16, verbose=0, callbacks=[callback])
    events.close()

    by_step = {entry["step"]: entry for entry in folder.metrics()}
    assert list(by_step) == [2, 4, 5]
    values = {step: entry["scores/FCD"] for step, entry in by_step.items()}
    assert scalars(folder)["logs", "scores/FCD", 5] == pytest.approx(values[5])
    assert step_of(folder, "best") == min(values, key=values.get)
    evaluation = Evaluation(callback._extractor, SMALL, *sources(folder))
    assert evaluation.score_run(folder, "best").step == step_of(folder, "best")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--extractor", "inception"], "`--inception` must name the file"),
        (["--inception", "nowhere.pth"], "weights-inception-2015-12-05"),
        (["--extractor", "nowhere.keras"], "auto, inception, classifier or the path"),
        (["--split", "nope"], "'nope'"),
        (["--split", "all"], "'all'"),
        (["--n-fake", "1"], "`--n-fake` must be an integer of 2 or more"),
        (["--weights", "best"], "--score-every"),
        (["--intra", "1"], "`--intra` must be 0, or 2 or more"),
        (["--intra", "9"], "`--intra` must be 0 for a GAN without classes"),
        (["--seed", str(10**20)], "`--seed` must be an integer from 0"),
        (["--classifier-seed", "-1"], "`--classifier-seed` must be an integer from 0"),
    ],
)
def test_command_refuses(make_run, pixels, tmp_path, arguments, message, capsys):
    if "--weights" in arguments:
        pixels._model.save(tmp_path / "m.keras")
        arguments = [*arguments, "--extractor", str(tmp_path / "m.keras")]
    run = str(make_run().path)
    assert main(["evaluate", run, "--cache", str(tmp_path), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a" / "scores").exists()


def test_similarity_has_pairs_of_a_class_among_many_classes(
    make_run, pixels, tmp_path, monkeypatch
):
    """As 1,000 images of 1,000 classes: the first three are one of each class."""
    monkeypatch.setattr(evaluate, "SIMILARITY_IMAGES", 3)
    monkeypatch.setattr(evaluate, "SIMILARITY_CLASSES", 1)
    folder = make_run(conditional=True)
    real, _ = sources(folder)
    evaluation = Evaluation(
        pixels, SMALL, real, cache=tmp_path / "cache", batch_size=16
    )
    report = evaluation.score_run(folder)
    # One batch of 16 has three and more of class 0.
    made, labels = next(
        generated_batches(load_generator(folder), 16, 16, 0, 4, num_classes=3)
    )
    expected = intra_ms_ssim(made[labels == 0][:3]).mean
    assert report.scores["MS-SSIM"] == pytest.approx(expected)
