"""The command line: what it prints, refuses and passes on."""

import dataclasses
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from sn_keras import ConditionalBatchNormalization
from training import arguments as options
from training.__main__ import COMMANDS, main
from training.commands import fit as fit_command
from training.experiments import EXPERIMENTS
from training.gan.losses import LOSSES
from training.networks import NETWORKS
from training.normalizers import NORMALIZERS
from training.runs.paper import PRESETS
from training.runs.preset import SETTINGS, Preset
from training.storage.files import write_json
from training.storage.folder import RunFolder
from training.storage.pictures import write_singles
from training.storage.singles import earlier_singles


def fails(capsys, *arguments):
    """Returns the message of a command that fails, which is not a traceback."""
    code = main(arguments)
    error = capsys.readouterr().err
    assert code == 1 and error.startswith("error: ")
    return error


@pytest.mark.parametrize(
    ("typed", "needed"),
    [
        (["--ema-ramp"], "`--ema-ramp` has no effect without `--ema`. "),
        (["--score-images", "9"], "`--score-images` has no effect without `--score-e"),
        (["--inception", "x"], "`--inception` has no effect without `--score-every`"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["fit", "--data", "mnist5k", "--run"],
        ["experiment", "singular-values", "--output"],
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    command, typed, needed, tmp_path, capsys
):
    assert needed in fails(capsys, *command, str(tmp_path / "new"), *typed)
    assert not (tmp_path / "new").exists()


def test_the_same_preset_again_is_what_the_run_was_started_with(tmp_path, finished):
    """`--steps 7` was typed once; the preset's own steps are 50,000."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = RunFolder(run).config()
    config["preset"]["name"] = "photos"
    write_json(RunFolder(run).config_file, config)

    def asked(*typed):
        parser = options.Parser()
        fit_command.add_arguments(parser)
        return fit_command._asked_for(parser.parse_args(["--run", str(run), *typed]))

    (same, how), (other, _) = (
        asked("--preset", "photos"),
        asked("--preset", "mnist-demo"),
    )
    assert (same.steps, how.checkpoint_every) == (7, 2)
    assert other.steps == PRESETS["mnist-demo"].steps
    assert asked("--preset", "photos", "--steps", "9")[0].steps == 9


def test_another_setting_than_the_presets_comes_with_its_numbers(tmp_path):
    def asked(*typed):
        parser = options.Parser()
        fit_command.add_arguments(parser)
        new = ["--run", str(tmp_path / "new"), "--preset", "mnist-demo", *typed]
        return fit_command._asked_for(parser.parse_args(new))[0].resolved()

    own, in_a = PRESETS["mnist-demo"].resolved(), asked("--setting", "A")
    assert own.learning_rate != SETTINGS["A"].learning_rate == in_a.learning_rate
    assert (in_a.beta_1, in_a.beta_2, in_a.discriminator_steps) == (0.5, 0.9, 5)
    assert asked("--setting", own.setting).learning_rate == own.learning_rate
    assert asked("--setting", "A", "--learning-rate", "3e-4").learning_rate == 3e-4


def test_a_part_of_an_option_is_none(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--run", "x", "--dat", "y"])
    assert "Did you mean --data?" in capsys.readouterr().err


def test_an_option_of_a_preset_may_be_left_without_what_it_needs(tmp_path, capsys):
    # Turning the average off is enough: its ramp need not be turned off too.
    preset = ["--preset", "mnist-demo", "--ema", "0", "--batch-size", "0"]
    assert "batch" in fails(capsys, "fit", "--run", str(tmp_path / "new"), *preset)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert COMMANDS[command][1:] in text and "default: None" not in text


def test_help_of_fit_has_every_field_with_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Preset):
        if "help" in field.metadata:
            assert f"--{field.name.replace('_', '-')} " in text
            assert field.metadata["help"] in text
    assert "(default: 100000)" in text and "(default: None)" not in text
    assert ", ".join(SETTINGS) in text
    for one in (*NETWORKS.values(), *NORMALIZERS.values(), *LOSSES.values()):
        # Where a line ends after a dash, there is a space now.
        line = f"{one.name}: {one.description}"
        assert line.replace("- ", "-") in text.replace("- ", "-")
    assert all(one.image_sizes in text for one in NETWORKS.values())


# What is told before TensorFlow, Keras or NumPy are imported, and how it ends.
LIGHT = {
    "--version": (0, "sn-keras "),
    "--help": (0, "experiment"),
    "fti": (2, "Did you mean fit?"),
    "presets": (0, "mnist-demo"),
    "presets mnist-demo": (0, "beta_1"),
    "presets mnist-dmeo": (1, "Did you mean 'mnist-demo'?"),
    "experiment --help": (0, "robustness"),
    "experiment robustnes": (2, "Did you mean robustness?"),
    "launch --workers 0 -- presets": (1, "`--workers`"),
    "fit --run {} --preset cifar10-cmn": (1, "Did you mean 'cifar10-cnn'?"),
    "fit --run {} --preset mnist-demo --bach-size 3": (2, "Did you mean --batch-size?"),
    "fit --run {} --preset mnist-demo --steps x": (2, "--steps: invalid int value"),
    "fit --run {} --preset mnist-demo --keep 0": (1, "Received: --keep=0"),
    "fit --run {} --preset mnist-demo --image-size 31": (1, "30 and 32"),
    "fit --run {} --preset mnist-demo --latent-dim 1000000000": (1, "of memory"),
    "fit --run {} --data ./no-folder": (1, "`--data` must be a folder that exists"),
    "fit --run {} --data cifar1": (1, "Did you mean 'cifar10'?"),
    "fit --run {}": (1, "`--preset` or `--data` must say what to train"),
    "fit --run /dev/null --preset mnist-demo": (1, "`--run` must be a folder"),
    "sample ./no-run": (1, "`run` must be the folder of a run"),
    "evaluate ./no-run": (1, "`run` must be the folder of a run"),
    "compare ./no-run": (1, "`run` must be the folder of a run"),
    "classifier ./no-run": (1, "`run` must be the folder of a run"),
    **{f"{command} --help": (0, "usage: ") for command in COMMANDS},
}
# These import NumPy, which takes a tenth of a second.
LIGHT_EXPERIMENTS = {
    **{f"experiment {name} --help": (0, "usage: ") for name in EXPERIMENTS},
    "experiment time --output {} --roundz 3": (2, "Did you mean --rounds?"),
    "experiment time --output {} --methods best": (1, "must be some of"),
    "experiment robustness --output {} --methods best": (1, "must be some of"),
    "experiment robustness --output {} --steps 0": (1, "Received: --steps=0"),
    "experiment robustness --output {} --image-size 31": (1, "30 and 32"),
    "experiment n-dis --output {} --keep 0": (1, "Received: --keep=0"),
    "experiment n-dis --output {} --jobs 0": (1, "Received: --jobs=0"),
    "experiment n-dis --output {} --data ./no-folder": (1, "a folder that exists"),
    "experiment imagenet --output {} --methods x": (1, "must be some of"),
    "experiment imagenet --output {} --data cifar1": (1, "Did you mean 'cifar10'?"),
    "experiment reparametrization --output {} --n-fake x": (2, "invalid int value"),
    "experiment singular-values --output {} --precision f": (1, "'float32'"),
}


def test_help_and_mistakes_need_neither_tensorflow_nor_keras(tmp_path):
    # One process for all: that one which imports them spoils those after it.
    code = """
import contextlib, io, json, sys
from training.__main__ import main
ended = []
for line in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            status = main(line.split())
        except SystemExit as end:
            status = end.code
    heavy = {"tensorflow", "keras", "numpy", "matplotlib", "PIL"} & sys.modules.keys()
    ended.append((status, out.getvalue(), sorted(heavy)))
json.dump(ended, sys.stdout)
"""
    expected = {**LIGHT, **LIGHT_EXPERIMENTS}
    lines = [line.format(tmp_path / "run") for line in expected]
    unscored = tmp_path / "unscored"
    unscored.mkdir()
    (unscored / "config.json").write_text("{}")
    lines.insert(0, f"compare {unscored}")
    answers = [(1, "`python -m training evaluate RUN`"), *expected.values()]
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    ended = json.loads(done.stdout)
    for line, (code, text), (status, out, heavy) in zip(
        lines, answers, ended, strict=True
    ):
        light = {"numpy"} if line.startswith("experiment") else set()
        assert status == code and set(heavy) <= light, (line, out, heavy)
        assert text in out, line
    assert not (tmp_path / "run").exists()


def test_what_a_terminal_would_obey_is_shown(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--run", "r", "--no-such=\x1b[2J\x1e\u2028"])
    assert "--no-such=\\x1b[2J\\x1e\\u2028" in capsys.readouterr().err
    assert main(["sample", "no\rrun"]) == 1
    assert "Received: no\\rrun, " in capsys.readouterr().err


@pytest.mark.slow
def test_tensorflow_is_imported_without_its_noise():
    code = "from training import quiet; quiet.import_tensorflow()"
    code += "; import os; os.write(2, b'mine')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == "mine"
    jax = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-m", "training", "fit", "--preset", "mnist-demo"]
        + ["--run", "no-run"],
        capture_output=True,
        text=True,
        check=False,
        env=jax,
    )
    assert done.returncode == 1 and "Received: KERAS_BACKEND='jax'" in done.stderr


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="of x86")
@pytest.mark.parametrize(("given", "wanted"), [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_the_user_turns_it_off(given, wanted):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if given is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = given
    code = "from training.quiet import use_onednn; import os; use_onednn(); "
    code += "print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.strip() == wanted


def test_a_terminal_without_greek_letters_gets_question_marks():
    done = subprocess.run(
        [sys.executable, "-m", "training", "presets"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0 and b"n_dis" in done.stdout


def test_presets_are_listed(capsys):
    main(["presets"])
    text = capsys.readouterr().out
    for preset in PRESETS.values():
        assert preset.name in text and preset.description in text
    main(["presets", "cifar10-resnet"])
    assert "beta_1                  0.0" in capsys.readouterr().out


def parsed(*arguments):
    import argparse

    parser = argparse.ArgumentParser()
    options.add_options(parser, Preset)
    return options.given(parser.parse_args(arguments), Preset)


def test_fields_are_parsed_by_their_types():
    found = parsed(
        "--steps=5",
        "--beta-1=0.5",
        "--conditioning=none",
        "--generator-batch-size=7",
        "--synchronized=true",
        "--data=somewhere",
    )
    assert found == {
        "steps": 5,
        "beta_1": 0.5,
        "conditioning": None,
        "generator_batch_size": 7,
        "synchronized": True,
        "data": "somewhere",
    }
    assert parsed("--flips", "--skip-broken") == {"flips": True, "skip_broken": True}
    for bad in ("--steps=5.5", "--beta-1=x", "--synchronized=maybe", "--steps=none"):
        with pytest.raises(SystemExit):
            parsed(bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "cifar10"], "Did you mean 'cifar10-cnn'?"),
        (["--setting", "G"], "`--setting` must be one of"),
        (["--batch-size", "0"], "Received: --batch-size=0"),
        (["--keep", "0"], "`--keep`"),
        (["--normalizer", "least"], "`--normalizer` must be one of"),
        (["--network", "least"], "`--network` must be one of"),
        (["--loss", "least"], "`--loss` must be one of"),
        (["--image-size", "66"], "62 and 64"),
        (["--data", "nowhere"], "no folder of that name"),
        (["--strategy", "cluster"], "`--strategy` must be one of"),
    ],
)
def test_fit_refuses(arguments, message, tmp_path, capsys):
    run = str(tmp_path / "run")
    error = fails(capsys, "fit", "--preset=mnist-demo", "--run", run, *arguments)
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM of [9]\nmore"),
            "OOM of [9]",
        ),
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory. Unable to"),
        (MemoryError(), "There is not enough memory."),
    ],
)
def test_a_lack_of_memory_is_told_in_a_line(error, message, monkeypatch, capsys):
    def run(arguments):
        raise error

    monkeypatch.setattr("training.commands.presets.run", run)
    text = fails(capsys, "presets")
    assert message in text and text.count("\n") == 1
    error = KeyError("a fault of the program")
    with pytest.raises(KeyError):
        main(["presets"])


def a_run(path, num_classes=None):
    latents = keras.Input((3,), name="latents")
    x = keras.layers.Dense(16)(latents)
    inputs = latents
    if num_classes is not None:
        labels = keras.Input((), dtype="int32", name="labels")
        x = ConditionalBatchNormalization(num_classes, beta_initializer="normal")(
            x, labels
        )
        inputs = [latents, labels]
    images = keras.layers.Reshape((4, 4, 1))(keras.layers.Activation("tanh")(x))
    folder = RunFolder(path)
    path.mkdir()
    folder.samples.mkdir()
    keras.Model(inputs, images).save(folder.generator)
    generator = {"latent_dim": 3, "num_classes": num_classes}
    write_json(folder.config_file, {"generator": generator})
    return folder


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_sample_draws_a_grid_or_singles(tmp_path, capsys):
    folder = a_run(tmp_path / "run")
    assert main(["sample", str(folder.path), "--count", "5", "--seed", "3"]) == 0
    grid = folder.samples / "seed-3.png"
    assert capsys.readouterr().out.strip() == str(grid)
    assert pixels(grid).shape == (10, 16)
    singles = tmp_path / "singles"
    main(
        ["sample", str(folder.path), "--count", "5", "--seed", "3", "--singles"]
        + ["--output", str(singles)]
    )
    files = sorted(singles.iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(5)]
    np.testing.assert_array_equal(pixels(files[4]), pixels(grid)[6:10, 6:10])
    again = ["sample", str(folder.path), "--count", "2", "--singles"]
    assert main([*again, "--output", str(singles)]) == 0
    assert len(list(singles.iterdir())) == 2
    (singles / "mine.txt").touch()
    for output in (singles, singles / "mine.txt"):
        assert main([*again, "--output", str(output)]) == 1
        assert "`--output` must be a new folder, or one" in capsys.readouterr().err
    assert len(list(singles.iterdir())) == 3


def test_singles_leave_photos_alone_that_are_called_the_same(tmp_path, capsys):
    folder = a_run(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    photos = [tmp_path / "mine" / f"{i:06d}.png" for i in range(3)]
    for photo in photos:
        Image.new("RGB", (64, 48), "red").save(photo)
    before = [photo.read_bytes() for photo in photos]
    command = ["sample", str(folder.path), "--count", "2", "--singles"]
    error = fails(capsys, *command, "--output", str(tmp_path / "mine"))
    assert "`--output` must be a new folder, or one" in error
    assert [photo.read_bytes() for photo in photos] == before


def test_singles_know_their_own_names_beyond_six_digits(tmp_path):
    for name in ("000000.png", "1000000.png"):
        write_singles(tmp_path / "new", np.zeros((1, 2, 2, 1), np.uint8))
        (tmp_path / "new" / "000000.png").rename(tmp_path / "new" / name)
        assert earlier_singles(tmp_path / "new") == {name}


@pytest.mark.parametrize(
    ("name", "instead"),
    [("count", "per-class"), ("count", "interpolate"), ("per-class", "interpolate")],
)
def test_sample_is_told_how_many_once(tmp_path, capsys, name, instead):
    folder = a_run(tmp_path / "run", num_classes=3)
    command = ["sample", str(folder.path), f"--{name}", "4", f"--{instead}", "2"]
    said = f"`--{name}` must not be given with `--{instead}`"
    assert said in fails(capsys, *command)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--output", "a.gif"], "`--output` must be a path that ends in .png."),
        (["--output", "a"], "`--output` must be a path that ends in .png."),
        (["--interpolate", "3", "--output", "a.mp4"], ".png or .gif or .webp."),
        (["--data", "here"], "`--data` is for the forms that show real images"),
    ],
)
def test_sample_refuses_what_it_would_ignore(tmp_path, capsys, given, said):
    folder = a_run(tmp_path / "run")
    assert said in fails(capsys, "sample", str(folder.path), *given)


def test_sample_takes_labels(tmp_path, capsys):
    folder = a_run(tmp_path / "run", num_classes=3)
    for name, labels in (("a", "2"), ("b", "0,2")):
        output = str(tmp_path / f"{name}.png")
        main(
            ["sample", str(folder.path), "--count", "4", "--labels", labels]
            + ["--output", output]
        )
    a, b = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert (a[:4, :4] != b[:4, :4]).any()
    np.testing.assert_array_equal(a[:4, 6:], b[:4, 6:])
    for labels in ("3", "0,-1"):
        assert "[0, 3)" in fails(capsys, "sample", str(folder.path), "--labels", labels)
    for labels in ("cat", "", "1,"):
        error = fails(capsys, "sample", str(folder.path), f"--labels={labels}")
        assert "`--labels` must be classes, by numbers in [0, 3)" in error


def test_sample_draws_a_row_a_class_by_name(tmp_path, capsys):
    folder = a_run(tmp_path / "run", num_classes=3)
    config = folder.config()
    config["generator"]["class_names"] = ["cat", "dog", "ko\u0308"]  # as macOS has it
    write_json(folder.config_file, config)
    assert main(["sample", str(folder.path), "--per-class", "2"]) == 0
    rows = pixels(folder.samples / "seed-0.png")
    assert rows.shape[0] == 16
    assert rows[:, :-10].any()  # the names
    main(["sample", str(folder.path), "--per-class", "2", "--labels", "kö, dog"])
    rows = pixels(folder.samples / "seed-0-2.png")[:, -10:]
    assert rows.shape == (10, 10)
    both = tmp_path / "both.png"
    main(
        ["sample", str(folder.path), "--count=4", "--labels=2,2,1,1"]
        + ["--output", str(both)]
    )
    np.testing.assert_array_equal(pixels(both), rows)


def test_truncated_latents_are_normal_ones_within_the_limit(monkeypatch):
    from scipy import stats

    from training.evaluation import looking

    latents = np.random.default_rng(0).standard_normal((500, 8)).astype("float32")
    found = looking.truncated(latents, 0.7)
    assert np.abs(found).max() <= 0.7
    expected = stats.truncnorm(-0.7, 0.7).ppf(stats.norm.cdf(latents))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_sample_draws_ways_and_animations(tmp_path, capsys):
    folder = a_run(tmp_path / "run", num_classes=3)
    run = str(folder.path)
    assert main(["sample", run]) == 0
    assert pixels(folder.samples / "seed-0.png").shape[0] == 3 * 6 - 2
    assert main(["sample", run, "--interpolate", "5"]) == 0
    ways = pixels(folder.samples / "interpolation-seed-0.png")
    assert ways[:, -28:].shape == (3 * 6 - 2, 28)
    for name, labels in (("a.gif", []), ("b.webp", ["--labels", "0,2"])):
        output = str(tmp_path / name)
        assert (
            main(["sample", run, "--interpolate=4", "--output", output, *labels]) == 0
        )
        with Image.open(output) as image:
            assert image.n_frames == 6
    assert "two classes or more" in fails(
        capsys, "sample", run, "--interpolate", "4", "--labels", "1"
    )
    assert "`--interpolate`" in fails(capsys, "sample", run, "--interpolate", "1")


def test_sample_takes_the_average_where_there_is_one(tmp_path):
    folder = a_run(tmp_path / "run")
    other = a_run(tmp_path / "other")
    main(["sample", str(other.path)])
    other.generator.rename(folder.averaged_generator)
    main(["sample", str(folder.path)])
    averaged = pixels(folder.samples / "seed-0.png")
    np.testing.assert_array_equal(averaged, pixels(other.samples / "seed-0.png"))
    main(["sample", str(folder.path), "--weights", "last"])
    assert (pixels(folder.samples / "seed-0-2.png") != averaged).any()


def test_sample_refuses(tmp_path, capsys):
    assert "no config.json" in fails(capsys, "sample", str(tmp_path))
    folder = a_run(tmp_path / "run")
    run = str(folder.path)
    assert "`--count`" in fails(capsys, "sample", run, "--count", "0")
    assert "of memory" in fails(capsys, "sample", run, "--count", "10000000000")
    assert "`--truncation`" in fails(capsys, "sample", run, "--truncation", "0")
    assert "G has no classes" in fails(capsys, "sample", run, "--per-class", "2")
    assert "generator-best.keras" in fails(capsys, "sample", run, "--weights", "best")
    assert "G has no classes" in fails(capsys, "sample", run, "--labels", "0")
    assert "generator-ema.keras" in fails(capsys, "sample", run, "--ema")
    folder.config_file.write_text("{")
    assert "config.json is damaged" in fails(capsys, "sample", run)


@pytest.mark.slow
def test_sigterm_ends_a_real_process_with_143_and_a_checkpoint(tmp_path):
    run = tmp_path / "a run"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "training",
            "fit",
            "--preset=mnist-demo",
            "--run",
            str(run),
        ]
        + "--width-multiplier 0.02 --batch-size 4 --log-every 1 --steps 9999".split(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        for line in process.stdout:
            if line.startswith("step 1/"):
                break
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 143
    assert f"The same command carries on. `python -m training fit --run '{run}'" in rest
    assert list((run / "checkpoints").glob("step-*.npz"))


@pytest.mark.parametrize("option", ["sample --output", "compare --plot"])
def test_no_device_is_replaced_by_a_picture(option, tmp_path, capsys):
    command, option = option.split()
    # Before anything is read: the folder is no run.
    assert main([command, str(tmp_path), option, "/dev/full"]) == 1
    assert f"`{option}` must be a regular file" in capsys.readouterr().err
    assert pathlib.Path("/dev/full").is_char_device()
