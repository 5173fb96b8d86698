"""The command line: what it prints, refuses and passes on."""

import dataclasses
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from sn_keras import ConditionalBatchNormalization
from training import arguments as options
from training.__main__ import COMMANDS, main
from training.gan.losses import LOSSES
from training.networks import NETWORKS
from training.normalizers import NORMALIZERS
from training.runs.paper import PRESETS
from training.runs.preset import SETTINGS, Preset
from training.storage.files import write_json
from training.storage.folder import RunFolder


def fails(capsys, *arguments):
    """Returns the message of a command that fails, which is not a traceback."""
    code = main(arguments)
    error = capsys.readouterr().err
    assert code == 1 and error.startswith("error: ")
    return error


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


def test_help_needs_no_tensorflow():
    code = "import sys, training.__main__ as m; m.main(sys.argv[1:])"
    code += "; sys.exit('tensorflow' in sys.modules)"
    for arguments in (["presets"], ["presets", "mnist-demo"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr


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
    for bad in ("--steps=5.5", "--beta-1=x", "--synchronized=maybe", "--steps=none"):
        with pytest.raises(SystemExit):
            parsed(bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "cifar"], "`preset` must be one of"),
        (["--setting", "G"], "`setting` must be one of"),
        (["--batch-size", "0"], "`batch_size`"),
        (["--keep", "0"], "`keep`"),
        (["--normalizer", "least"], "`normalizer` must be one of"),
        (["--network", "least"], "`network` must be one of"),
        (["--loss", "least"], "`loss` must be one of"),
        (["--image-size", "66"], "62 and 64"),
        (["--data", "nowhere"], "'nowhere'"),
        (["--strategy", "cluster"], "`strategy` must be one of"),
    ],
)
def test_fit_refuses(arguments, message, tmp_path, capsys):
    error = fails(capsys, "fit", "--run", str(tmp_path / "run"), *arguments)
    assert message in error
    assert not (tmp_path / "run").exists()


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
        with pytest.raises(SystemExit):
            main(["sample", str(folder.path), f"--labels={labels}"])
        assert "`labels` must be numbers of classes" in capsys.readouterr().err


def test_sample_refuses(tmp_path, capsys):
    assert "no config.json" in fails(capsys, "sample", str(tmp_path))
    folder = a_run(tmp_path / "run")
    run = str(folder.path)
    assert "`count`" in fails(capsys, "sample", run, "--count", "0")
    assert "not conditional" in fails(capsys, "sample", run, "--labels", "0")
    assert "generator-ema.keras" in fails(capsys, "sample", run, "--ema")
    folder.config_file.write_text("{")
    assert "config.json is damaged" in fails(capsys, "sample", run)


def test_sigterm_ends_a_real_process_with_143_and_a_checkpoint(tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "fit", "--run", str(run)]
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
    assert "The same command carries on." in rest
    assert list((run / "checkpoints").glob("step-*.npz"))
