"""Bad input is named, and costs nothing that was there."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.__main__ import main


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ["coreml"]}, "`formats` must be"),
        ({"precisions": []}, "`precisions` must be"),
        ({"batch_sizes": [0]}, "`batch_sizes` must be"),
        ({"batch_sizes": [2, 2]}, "`batch_sizes` must be"),
        ({"batch_sizes": []}, "`batch_sizes` must be"),
        ({"precisions": ["float32", "float32"]}, "`precisions` .* each once"),
        ({"seed": -1}, "`seed` must be"),
        ({"calibration_samples": 0}, "`calibration_samples` must be"),
        ({"min_psnr": float("nan")}, "`min_psnr` must be"),
        (
            {"formats": ["saved_model"], "precisions": ["int8-full"]},
            "`precisions` must be those that a file of saved_model can have",
        ),
        (
            {"formats": ["onnx"], "precisions": ["float32", "int8-dynamic"]},
            "`precisions` must be those that a file of onnx",
        ),
        (
            {"formats": ["saved_model"], "batch_sizes": [4]},
            r"`batch_sizes` must be left out .* Received: batch_sizes=\[4\]",
        ),
        ({"calibration_samples": 8}, "`calibration_samples` must be left out"),
        ({"output_range": (1, -1)}, "`output_range` must be"),
        ({"output_range": (0, float("inf"))}, "`output_range` must be"),
        ({"num_classes": 3}, "`num_classes` .* must be None"),
    ],
)
def test_bad_arguments_are_named(small_cnn, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export.export_generator(small_cnn, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"formats": "litert"},
        {"formats": [1]},
        {"precisions": None},
        {"batch_sizes": 4},
        {"batch_sizes": [2.0]},
        {"batch_sizes": [True]},
        {"calibration_samples": 2.5},
        {"min_psnr": "30"},
        {"seed": "0"},
        {"overwrite": "yes"},
        {"num_classes": 3.0},
        {"output_range": 1},
        {"output_range": "01"},
        {"output_range": ("0", "1")},
    ],
)
def test_arguments_of_another_kind_are_type_errors(tiny_resnet, tmp_path, options):
    with pytest.raises(TypeError, match=f"`{next(iter(options))}` must be"):
        export.export_generator(tiny_resnet, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Please consider providing the trackable")
def test_numpy_scalars_are_numbers(tiny_resnet, tmp_path):
    (difference,) = export.export_generator(
        tiny_resnet,
        tmp_path / "out",
        formats=np.array(["litert"]),
        batch_sizes=np.array([1]),
        overwrite=np.bool_(True),
        seed=np.int64(3),
        precisions=np.array(["int8-full"]),
        calibration_samples=np.uint8(16),
        num_classes=np.int32(3),
        output_range=np.array([-1.0, 1.0], "float32"),
        min_psnr=np.float32(10),
    )
    assert difference.bound == 10


class InverseError(layers.Layer):
    def call(self, inputs):
        return keras.ops.erfinv(keras.ops.tanh(inputs))


@pytest.mark.slow
def test_an_op_that_litert_lacks_is_named_with_its_layer(tmp_path):
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48)(inputs))
    odd = keras.Model(inputs, InverseError(name="odd_one")(x))
    with pytest.raises(export.ConversionError, match="tf.Erfinv of layer 'odd_one'"):
        export.export_generator(odd, tmp_path / "out", ["litert"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_wrong_in_a_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.keras"), "--output", str(tmp_path / "o")]) == 1
    assert "There is no model at" in capsys.readouterr().err
    assert main(["benchmark", str(tmp_path)]) == 1
    assert "is no export" in capsys.readouterr().err
    assert main(["web", str(tmp_path)]) == 1
    assert "is no export" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--precision", "int8-full", "int8-full"],
            "`--precision` must be a list of one or more",
        ),
        (
            ["--format", "saved_model", "--precision", "int8-full"],
            "Received: --precision=['int8-full']",
        ),
        (["--format", "onnx", "onnx"], "Received: --format=['onnx', 'onnx']"),
        (["--batch-sizes", "0"], "`--batch-sizes` must be an integer from 1 to 4096"),
        (["--calibration-samples", "0"], "Received: --calibration-samples=0"),
        (
            ["--format", "saved_model", "--batch-sizes", "4"],
            "`--batch-sizes` must be left out where no `.tflite` file is written",
        ),
        (["--min-psnr", "nan"], "`--min-psnr` must be a number"),
        (["--seed", "-1"], "Received: --seed=-1"),
    ],
)
def test_the_command_names_an_option_as_it_is_typed(tmp_path, capsys, given, said):
    assert main(["g.keras", "--output", str(tmp_path / "o"), *given]) == 1
    assert said in capsys.readouterr().err


def test_a_mistyped_command_is_named(capsys):
    assert main(["verfy", "exported"]) == 2
    assert "no command 'verfy'. Did you mean verify?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--precision", "int8"], "int8-dynamic or int8-full"),
        (["--format", "onx"], "onnx"),
        (["--output", "y", "--overwite"], "--overwrite"),
    ],
)
def test_what_was_likely_meant_is_named(options, meant, capsys):
    with pytest.raises(SystemExit):
        main(["x.keras", *options])
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert f"Did you mean {meant}?" in error


@pytest.mark.parametrize("path", ["generator.keras", "runs/generators", "generator."])
def test_a_path_that_is_missing_is_no_command(path, tmp_path, capsys):
    assert main([path, "--output", str(tmp_path / "o")]) == 1
    assert "There is no model at" in capsys.readouterr().err


def test_the_command_reports_with_options_as_they_are_typed(
    tmp_path, monkeypatch, capsys
):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Reshape((4, 4, 1))(layers.Dense(16)(inputs)))
    model.save(tmp_path / "g.keras")

    def stopped(*_):
        raise ValueError("stopped")

    monkeypatch.setattr("export.verification.comparison.reference", stopped)
    options = ["--output", str(tmp_path / "o"), "--output-range", "-1", "1"]
    assert main([str(tmp_path / "g.keras"), *options]) == 1
    assert "in [-1, 1], which `--output-range` tells" in capsys.readouterr().out


def test_what_a_terminal_would_obey_is_shown(tmp_path, capsys):
    assert main(["no\rrun\x1b[2J", "--output", str(tmp_path / "o")]) == 1
    assert "no\\rrun\\x1b[2J" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["generator", "verify"])
def test_what_needs_no_tensorflow_is_told_without(command, tmp_path):
    (tmp_path / "mine").touch()
    arguments = {
        "generator": ["x.keras", "--output", str(tmp_path)],
        "verify": ["verify", str(tmp_path)],
    }[command]
    code = (
        "import sys; from export.__main__ import main\n"
        f"sys.exit(10 * main({arguments!r}) + ('tensorflow' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 10
