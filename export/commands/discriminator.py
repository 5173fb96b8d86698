"""`python -m export discriminator`: writes a discriminator as a SavedModel."""

from __future__ import annotations

import argparse

from export.quiet import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument(
        "discriminator",
        metavar="DISCRIMINATOR",
        help="a .keras file or a folder with discriminator.keras",
    )


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    with quiet():  # TensorFlow says what it is on standard error
        from export.discriminator import export_discriminator

    export_discriminator(
        options.discriminator, options.output, options.overwrite, report=options.report
    )
    print(f"exported to {options.output}")
