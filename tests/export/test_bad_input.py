"""Bad input is named, and costs nothing that was there."""

from __future__ import annotations

import keras
import pytest
from keras import layers

import export
from export.__main__ import main


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ["coreml"]}, "`formats` must be"),
        ({"formats": "litert"}, "`formats` must be"),
        ({"precisions": []}, "`precisions` must be"),
        ({"batch_sizes": [0]}, "`batch_sizes` must be"),
        ({"batch_sizes": [2, 2]}, "`batch_sizes` must be"),
        ({"batch_sizes": []}, "`batch_sizes` must be"),
        ({"precisions": ["float32", "float32"]}, "`precisions` .* each once"),
        ({"seed": -1}, "`seed` must be"),
        ({"calibration_samples": 2.5}, "`calibration_samples` must be"),
        ({"min_psnr": float("nan")}, "`min_psnr` must be"),
        ({"min_psnr": "30"}, "`min_psnr` must be"),
        ({"num_classes": 3}, "`num_classes` .* must be None"),
    ],
)
def test_bad_arguments_are_named(small_cnn, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export.export_generator(small_cnn, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_int8_full_without_latents_to_calibrate_with(small_cnn, tmp_path):
    with pytest.raises(ValueError, match="`calibration_samples` .* to calibrate with"):
        export.export_generator(
            small_cnn,
            tmp_path / "out",
            ["litert"],
            ["int8-full"],
            calibration_samples=0,
        )
    assert list(tmp_path.iterdir()) == []


class InverseError(layers.Layer):
    def call(self, inputs):
        return keras.ops.erfinv(keras.ops.tanh(inputs))


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
