"""The command `python -m export`: parses, calls, prints."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Sequence

# Before TensorFlow is imported: its start-up messages would bury the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from export import api, benchmark, litert, verification, web
from export.discriminators import export_discriminator
from export.errors import ConversionError, VerificationError

_EXPECTED = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    ConversionError,
    VerificationError,
)


def _export(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Writes a Keras generator as files that need no Keras, checks "
        "each against Keras in a process of its own, and prints the differences. "
        "Other commands: `python -m export benchmark --help` (time of each file), "
        "`python -m export web --help` (a page that runs one in the browser), "
        "`python -m export discriminator --help`.",
    )
    parser.add_argument(
        "generator", help="a `.keras` file or the folder of a run with generator.keras"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="to write")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=api.FORMATS,
        default=["saved_model", "litert"],
        help="default: saved_model litert",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=litert.PRECISIONS,
        default=["float32"],
        help="of the .tflite files; default: float32",
    )
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        default=[1, 16],
        metavar="N",
        help="a .tflite file has a signature for each; default: 1 16",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the latents that files are checked and calibrated with; default: 0",
    )
    parser.add_argument(
        "--calibration-samples",
        type=int,
        default=128,
        metavar="N",
        help="latents that int8-full is calibrated on; default: 128",
    )
    parser.add_argument(
        "--min-psnr",
        type=float,
        metavar="DB",
        help="fail below this PSNR against Keras; default: a bound for each precision",
    )
    parser.add_argument(
        "--num-classes",
        type=int,
        metavar="N",
        help="of a conditional generator, if neither its layers nor config.json tell",
    )
    options = parser.parse_args(arguments)
    api.export_generator(
        options.generator,
        options.output,
        formats=options.format,
        precisions=options.precision,
        batch_sizes=options.batch_sizes,
        overwrite=options.overwrite,
        seed=options.seed,
        calibration_samples=options.calibration_samples,
        num_classes=options.num_classes,
        min_psnr=options.min_psnr,
        report=lambda line: print(line, flush=True),
    )
    print(f"exported to {options.output}")


def _benchmark(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m export benchmark",
        description="Measures the files of an export: milliseconds of a call (median) "
        "and images a second, in turns, in a new process for each number of threads.",
    )
    parser.add_argument("folder", help="what `python -m export` wrote")
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
        help="default: those of the export",
    )
    parser.add_argument(
        "--turns", type=int, default=20, metavar="N", help="calls of each; default: 20"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write the figures there, as JSON"
    )
    options = parser.parse_args(arguments)
    timings = benchmark.benchmark(
        options.folder,
        options.generator,
        options.threads,
        options.batch_sizes,
        options.turns,
    )
    print(benchmark.table(timings))
    if options.json:
        content = {
            "machine": benchmark.machine(),
            "timings": [dataclasses.asdict(one) for one in timings],
        }
        text = json.dumps(verification.finite(content), indent=2)
        pathlib.Path(options.json).write_text(text + "\n", encoding="utf-8")


def _web(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m export web",
        description="Writes a static folder with a page that draws with a `.tflite` "
        "file of an export, in the browser alone (LiteRT.js, fetched with npm).",
    )
    parser.add_argument("folder", help="what `python -m export` wrote")
    parser.add_argument(
        "--output", metavar="DIR", help="to write; default: web inside the folder"
    )
    parser.add_argument(
        "--precision",
        choices=litert.PRECISIONS,
        help="default: the first there is of int8-dynamic, float16, float32, int8-full",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier page"
    )
    parser.add_argument(
        "--runtime",
        metavar="DIR",
        help="`node_modules/@litertjs` of an earlier npm install; default: run npm",
    )
    options = parser.parse_args(arguments)
    page = web.write_page(
        options.folder,
        options.output,
        options.precision,
        options.overwrite,
        options.runtime,
    )
    print(f"page written; look at it with: python -m http.server --directory {page}")


def _discriminator(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m export discriminator",
        description="Writes a Keras discriminator as a SavedModel (images to logits "
        "and features) and checks it against Keras.",
    )
    parser.add_argument("discriminator", help="a `.keras` file")
    parser.add_argument("--output", required=True, metavar="DIR", help="to write")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export"
    )
    options = parser.parse_args(arguments)
    export_discriminator(
        options.discriminator, options.output, options.overwrite, report=print
    )
    print(f"exported to {options.output}")


_COMMANDS = {"benchmark": _benchmark, "discriminator": _discriminator, "web": _web}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in _COMMANDS:
            _COMMANDS[given[0]](given[1:])
        else:
            _export(given)
    except _EXPECTED as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
