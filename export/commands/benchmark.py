"""`python -m export benchmark`: times the files of an export."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib

from export import manifest
from export.quiet import quiet
from export.timing import timings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("folder", metavar="DIR", help="what `python -m export` wrote")
    parser.add_argument(
        "--generator",
        metavar="FILE",
        help="the Keras file of the export: adds Keras' predict and the plain "
        "`model.export(format='litert')` to the table",
    )
    parser.add_argument(
        "--threads",
        nargs="+",
        type=int,
        default=[1, 2],
        metavar="N",
        help="default: 1 2",
    )
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        metavar="N",
        help="default: those of the export, which .tflite files are bound to",
    )
    parser.add_argument(
        "--turns", type=int, default=20, metavar="N", help="calls of each; default: 20"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write the figures there, as JSON"
    )


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    with quiet():  # TensorFlow says what it is on standard error
        from export.timing.benchmark import benchmark

    measured = benchmark(
        options.folder,
        options.generator,
        options.threads,
        options.batch_sizes,
        options.turns,
    )
    print(timings.table(measured))
    machine = timings.machine()
    versions = ", ".join(f"{name} {one}" for name, one in machine["versions"].items())
    print(f"{machine['cores']} cores of {machine['processor']}; {versions}")
    if options.json:
        content = {
            "machine": machine,
            "timings": [dataclasses.asdict(one) for one in measured],
        }
        text = json.dumps(manifest.finite(content), indent=2)
        pathlib.Path(options.json).write_text(text + "\n", encoding="utf-8")
