"""`fid_statistics`: mean, covariance and Fréchet distance beside torch-fidelity's.

Each side runs in a process of its own on the same float32 features, which count in its
memory: 50,000 × 2,048 of them are 410 MB.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.shared import environments, gan_step, tables, timing
from benchmarks.shared.workers import Worker

OURS, THEIRS = "training.evaluation", "torch-fidelity"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument("--rows", type=int, default=50_000, help="default: 50000")
    parser.add_argument("--dimension", type=int, default=2048, help="default: 2048")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    gan_step.add_threads(parser)
    environments.add_folder(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    environment = environments.ENVIRONMENTS["fidelity"]
    python = environments.python_of(environment, arguments.environments)
    pythons = {OURS: Path(sys.executable), THEIRS: Path(python)}
    seconds: dict[str, dict[str, list[float]]] = {"statistics": {}, "distance": {}}
    distances, memory = {}, {}
    with (
        Worker(OURS, pythons[OURS], "statistics_peer", arguments.threads) as ours,
        Worker(THEIRS, pythons[THEIRS], "statistics_peer", arguments.threads) as theirs,
    ):
        workers = {OURS: ours, THEIRS: theirs}
        for name, worker in workers.items():
            worker.ask(
                "prepare",
                library=name,
                rows=arguments.rows,
                dimension=arguments.dimension,
            )
        for part in seconds:
            candidates = {
                name: lambda worker=worker, part=part: worker.ask("timed", part=part)
                for name, worker in workers.items()
            }
            seconds[part] = timing.interleave(
                candidates, arguments.rounds, warmup=1, progress=tables.progress
            )
        for name, worker in workers.items():
            distances[name] = worker.ask("distance")
            memory[name] = worker.ask("memory")
    rows = [
        [
            name,
            *(str(timing.summarize(seconds[part][name])) for part in seconds),
            f"{memory[name] / 1e9:.2f}",
            f"{distances[name]:.9g}",
        ]
        for name in workers
    ]
    tables.show(
        f"{arguments.rows} × {arguments.dimension} float32 features against a tenth as "
        "many; seconds, median (quartiles); peak memory with the features",
        ["", "statistics", "distance", "GB", "value"],
        rows,
    )
    return {"seconds": seconds, "memory": memory, "distances": distances}
