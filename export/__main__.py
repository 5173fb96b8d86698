"""The command `python -m export`: parses, calls, prints."""

from __future__ import annotations

import os

# Before TensorFlow is imported: its start-up messages would bury the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import sys
from collections.abc import Sequence

from export import api, litert
from export.errors import ConversionError, VerificationError

_EXPECTED = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    ConversionError,
    VerificationError,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Writes a Keras generator as files that need no Keras, checks "
        "each against Keras in a process of its own, and prints the differences.",
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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
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
    except _EXPECTED as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    print(f"exported to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
