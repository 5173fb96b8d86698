"""`startup`: what importing sn_keras costs over keras, and the time to a first step.

Every figure is taken in a fresh process, the candidates in turns.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks.shared import gan_step, tables, timing

_ROOT = pathlib.Path(__file__).resolve().parents[2]

_IMPORT = """
import time
import keras
start = time.perf_counter()
import sn_keras
print(time.perf_counter() - start)
"""

_KERAS = """
import time
start = time.perf_counter()
import keras
print(time.perf_counter() - start)
"""

_FIRST_STEP = """
import time
start = time.perf_counter()
from benchmarks.shared import gan_step
gan_step.set_threads({threads})
step = gan_step.Step(method={method!r}, batch_size={batch_size}, width={width},
    image_size={image_size})
run = gan_step.runner(gan_step.gan(step), step)
run()
print(time.perf_counter() - start)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("import", "first"),
        default=("import", "first"),
        help="import times, times to the first step (default: both)",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="default: 64")
    gan_step.add_size(parser)
    gan_step.add_threads(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    sources = {
        "import keras": _KERAS,
        "import sn_keras, after keras": _IMPORT,
        "first step, no normalization": first_step("vanilla", arguments),
        "first step, sn_keras": first_step("sn", arguments),
    }
    sources = {k: v for k, v in sources.items() if k.startswith(tuple(arguments.parts))}
    seconds = timing.interleave(
        {name: _in_new_process(source) for name, source in sources.items()},
        arguments.rounds,
        warmup=min(1, arguments.rounds - 1),
        progress=tables.progress,
    )
    tables.show(
        "Seconds in a fresh process",
        ["what", "median (quartiles)", "least"],
        [
            [name, str(summary), summary.minimum]
            for name, summary in (
                (name, timing.summarize(times)) for name, times in seconds.items()
            )
        ],
    )
    return {"seconds": seconds}


def first_step(method: str, arguments: argparse.Namespace) -> str:
    """Returns a program that prints the seconds from its start to a first step.

    Args:
        method: as in `benchmarks.shared.gan_step.Step`.
        arguments: the parsed ones.
    """
    return _FIRST_STEP.format(
        method=method,
        threads=arguments.threads,
        batch_size=arguments.batch_size,
        width=arguments.width,
        image_size=arguments.image_size,
    )


def _in_new_process(source: str) -> Any:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
    }

    def run() -> float:
        done = subprocess.run(
            [sys.executable, "-c", source],
            cwd=_ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"A fresh process failed:\n{done.stderr[-2000:]}")
        return float(done.stdout.split()[-1])

    return run
