"""Every command runs, on the smallest networks; what it measures is not judged."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import pytest

from benchmarks import __main__
from benchmarks.commands import overhead, startup
from benchmarks.shared import environments, machine
from benchmarks.shared.workers import Worker, WorkerError

_TINY = ["--width", "0.0625", "--batch-size", "2"]


def _run(tmp_path, *arguments):
    file = tmp_path / "results" / "figures.json"
    __main__.main([arguments[0], "--json", str(file), *arguments[1:]])
    result = json.loads(file.read_text())
    assert result["machine"]["cores"] == machine.cores()
    assert "numpy" in result["machine"]["versions"]
    return result


@pytest.mark.slow
def test_overhead(tmp_path, capsys):
    rounds = ["--rounds", "1", "--layer-rounds", "1"]
    parts = ["--parts", "step", "layers", "--networks", "cnn"]
    result = _run(tmp_path, "overhead", *_TINY, *rounds, *parts)
    assert set(result["cnn step"]["ratios"]) == {
        "no normalization",
        "sn_keras",
        "sn_keras, norm='operator'",
        "keras wrapper",
    }
    assert len(result["cnn layers"]) == 8 + 1
    assert "Conv2D 4×4×4×4" in capsys.readouterr().out


def test_overhead_times_the_steps_of_the_networks_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(overhead, "_whole_steps", lambda step, rounds: step.network)
    result = _run(tmp_path, "overhead", "--parts", "step")
    assert (result["cnn step"], result["resnet step"]) == ("cnn", "resnet")


@pytest.mark.slow
def test_backends(tmp_path, capsys):
    few = ["--updates", "2", "--rounds", "1", "--precisions", "mixed_bfloat16"]
    result = _run(tmp_path, "backends", *_TINY, *few)
    assert result["backend"]["backend"] == "tensorflow"
    assert len(result["sessions"]["mixed_bfloat16"]["seconds"]["sn_keras"]) == 1
    assert "An update of D: resnet 32 px" in capsys.readouterr().out


@pytest.mark.slow
def test_backends_need_no_tensorflow_on_jax():
    few = ["--updates", "2", "--rounds", "1", "--precisions", "float32"]
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from benchmarks.__main__ import main\n"
        f"main({['backends', *_TINY, '--network', 'cnn', *few]!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nsn_keras") == 2 and "backend jax" in done.stdout


@pytest.mark.slow
def test_step(tmp_path, capsys):
    sizes = ["--width", "0.0625", "--batch-sizes", "2", "--rounds", "1"]
    which = ["--networks", "cnn", "--precisions", "mixed_bfloat16"]
    count = ["--discriminator-steps", "1", "--methods", "vanilla", "wgan-gp"]
    result = _run(tmp_path, "step", *sizes, *which, *count)
    (session,) = result["sessions"]
    assert set(session["seconds"]) == {"vanilla", "wgan-gp"}
    assert len(session["matrix product"]) == 1
    assert "share of floor" in capsys.readouterr().out


@pytest.mark.slow
def test_input(tmp_path, capsys):
    few = ["--images", "8", "--batches", "2", "--steps", "1"]
    result = _run(tmp_path, "input", *_TINY, *few)
    assert [route["images"] for route in result["routes"]] == [5000, *[8] * 7]
    assert all(route["images_per_second"] > 0 for route in result["routes"])
    assert "folder of PNG" in capsys.readouterr().out


@pytest.mark.slow
def test_startup(tmp_path):
    result = _run(tmp_path, "startup", "--parts", "import", "--rounds", "1")
    assert set(result["seconds"]) == {"import keras", "import sn_keras, after keras"}
    assert all(len(seconds) == 1 for seconds in result["seconds"].values())


@pytest.mark.slow
def test_startup_times_a_first_step(capsys):
    sizes = argparse.Namespace(
        threads=machine.cores(), batch_size=2, width=0.0625, image_size=36
    )
    exec(startup.first_step("sn", sizes), {})
    assert float(capsys.readouterr().out) > 0


@pytest.mark.slow
def test_gradient_tells_a_right_wrapper_from_a_wrong_one(tmp_path):
    result = _run(tmp_path, "gradient", "--peers", "sn_keras", "keras-wrapper")
    errors = result["relative_errors"]
    assert errors["sn_keras"] < 1e-6
    assert errors["keras-wrapper"] > 1


@pytest.mark.slow
def test_peers_of_this_environment(tmp_path):
    result = _run(
        tmp_path, "peers", *_TINY, "--rounds", "1", "--peers", "keras-wrapper"
    )
    assert set(result["ratios"]) == {"sn_keras", "keras-wrapper"}
    about = result["about"]
    assert about["sn_keras"]["parameters"] == about["keras-wrapper"]["parameters"]
    assert about["sn_keras"]["memory"]["peak"] > 0


_KEPT = pathlib.Path(environments.__file__).parents[2] / ".peers"


def test_peers_have_the_same_networks(tmp_path):
    names = ("tfa", "torch")
    if not all((_KEPT / name / "requirements.sha256").exists() for name in names):
        pytest.skip("python -m benchmarks gradient sets the environments up first")
    # The command itself compares parameters and losses, and fails if they differ.
    result = _run(tmp_path, "peers", *_TINY, "--rounds", "1", "--peers", *names)
    assert result["left_out"] == {}
    assert all("losses" in result["about"][name] for name in names)


def test_a_missing_environment_leaves_the_peer_out(tmp_path, monkeypatch, capsys):
    def fail(environment, folder):
        raise environments.SetUpError("no network")

    monkeypatch.setattr(environments, "python_of", fail)
    result = _run(tmp_path, "gradient", "--peers", "torch")
    assert result["left_out"] == {"torch": "no network"}
    assert "left out: torch: no network" in capsys.readouterr().out


def test_a_worker_that_ends_says_so():
    # This module only defines things, so the process ends at once.
    with Worker("short", pathlib.Path(sys.executable), "protocol", 1) as worker:
        with pytest.raises(WorkerError, match="short ended"):
            worker.ask("versions")


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["nonsense"])
    assert "overhead" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gradient", "--rows", "0"], 1, "`--rows` must be an integer of 1 or more"),
        (["startup", "--json", "."], 2, "--json must be a file. Received: ."),
    ],
)
def test_a_mistake_is_told_without_a_traceback(arguments, code, message, capsys):
    with pytest.raises(SystemExit) as done:
        __main__.main(arguments)
    assert done.value.code == code and message in capsys.readouterr().err


@pytest.mark.parametrize("name", list(__main__.COMMANDS))
def test_help_of_each_command(name, capsys):
    with pytest.raises(SystemExit) as done:
        __main__.main([name, "--help"])
    assert done.value.code == 0
    assert "--json" in capsys.readouterr().out
