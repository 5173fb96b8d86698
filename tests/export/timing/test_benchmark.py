"""The table of times has what it says, and nothing is left out."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import time

import pytest

import export
from export.__main__ import main
from export.timing import benchmark
from tests.export import test_manifest


@pytest.mark.slow
def test_every_file_is_measured_beside_keras(small_cnn, tmp_path, capsys):
    small_cnn.save(tmp_path / "generator.keras")
    export.export_generator(tmp_path, tmp_path / "out", batch_sizes=[2])
    status = main(
        ["benchmark", str(tmp_path / "out"), "--generator", str(tmp_path)]
        + ["--threads", "1", "--turns", "2", "--json", str(tmp_path / "times.json")]
    )
    assert status == 0
    table = capsys.readouterr().out
    content = json.loads((tmp_path / "times.json").read_text())
    names = [(one["name"], one["precision"]) for one in content["timings"]]
    assert names == [
        ("saved_model", "float32"),
        ("generator-float32.tflite", "float32"),
        ("keras predict", "float32"),
        ("model.export litert", "float32"),
        ("model.export litert", "int8-dynamic"),
    ]
    assert all(name in table for name, _ in names)
    for one in content["timings"]:
        assert one["images_per_second"] == pytest.approx(2e3 / one["milliseconds"])
        assert one["turns"] == 2 and one["fastest"] <= one["milliseconds"]
    assert content["machine"]["cores"] >= 1


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"threads": [0]}, ValueError),
        ({"threads": 2}, TypeError),
        ({"turns": 0}, ValueError),
        ({"turns": 2.5}, TypeError),
        ({"batch_sizes": [-1]}, ValueError),
        ({"batch_sizes": []}, ValueError),
    ],
)
def test_bad_arguments_are_named(tmp_path, bad, error):
    test_manifest.written(tmp_path)
    with pytest.raises(error, match=f"`{next(iter(bad))}` must be"):
        benchmark.benchmark(tmp_path, **bad)


def test_a_batch_size_without_a_signature_is_refused(tmp_path, capsys):
    test_manifest.written(tmp_path)
    assert main(["benchmark", str(tmp_path), "--batch-sizes", "8"]) == 1
    said = "`--batch-sizes` must be of [1, 16], for which the `.tflite` files have sig"
    assert said in capsys.readouterr().err


def test_a_damaged_file_is_named_in_a_line(tmp_path, capsys):
    path = test_manifest.written(tmp_path) / "generator-float32.tflite"
    path.write_bytes(path.read_bytes()[:2])
    assert main(["benchmark", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "generator-float32.tflite (changed)" in told


def test_ctrl_c_ends_the_process_that_measures():
    def interrupted(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            benchmark._in_new_process(time.sleep, 60)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 30 and not multiprocessing.active_children()


def test_tensorflow_is_imported_where_its_lines_are_held_back():
    code = "import sys, export.commands.benchmark, export.timing.measuring\n"
    code += "sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
