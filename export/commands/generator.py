"""`python -m export GENERATOR`: writes a generator in formats that need no Keras."""

from __future__ import annotations

import argparse

from export.formats.names import FORMATS, PRECISIONS
from export.quiet import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument(
        "generator",
        metavar="GENERATOR",
        help="a .keras file or the folder of a run: its generator-ema.keras (averaged "
        "weights) if there is one, else its generator.keras",
    )
    parser.add_argument(
        "--format",
        nargs="+",
        type=lambda name: "litert" if name == "tflite" else name,
        choices=FORMATS,
        default=["saved_model", "litert"],
        help="litert writes .tflite files; default: saved_model litert",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=["float32"],
        help="of the .tflite files, and float16 of ONNX files too; default: float32",
    )
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        metavar="N",
        help="a .tflite file has a signature for each; default: 1 16",
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
        "--classifier",
        metavar="FILE",
        help="a .keras file that classifies images (values from 0 to 255), such as "
        "`python -m training classifier` makes of labelled data: tells how its score "
        "changes, and fails beyond a bound for each precision",
    )
    parser.add_argument(
        "--output-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="the values of black and of white; default: what the last activation, or "
        "else the outputs, tell",
    )
    parser.add_argument(
        "--num-classes",
        type=int,
        metavar="N",
        help="of a conditional generator, if neither its layers nor config.json tell",
    )


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    with quiet():  # TensorFlow says what it is on standard error
        from export.generator import export_generator

    export_generator(
        options.generator,
        options.output,
        formats=options.format,
        precisions=options.precision,
        batch_sizes=options.batch_sizes,
        overwrite=options.overwrite,
        seed=options.seed,
        calibration_samples=options.calibration_samples,
        num_classes=options.num_classes,
        output_range=options.output_range,
        min_psnr=options.min_psnr,
        classifier=options.classifier,
        report=options.report,
    )
    print(f"exported to {options.output}")
