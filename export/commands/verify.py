"""`python -m export verify`: holds an export against its digests and against Keras."""

from __future__ import annotations

import argparse
import pathlib

from export import manifest
from export.quiet import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("folder", metavar="DIR", help="what `python -m export` wrote")


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    manifest.read(pathlib.Path(options.folder))  # before TensorFlow is imported
    with quiet():  # TensorFlow says what it is on standard error
        from export.verification.stored import verify

    verify(options.folder, report=options.report)
    print(f"{options.folder} does what Keras did")
