"""`python -m training COMMAND`: trains GANs, and looks at what was trained."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence

from training.arguments import Parser
from training.terminal import say_error
from training.versions import own_version

# One line a command: its name, and what it does. Its module in `training.commands`
# has `add_arguments(parser)` and `run(arguments)`, which returns an exit code or None.
# It imports TensorFlow in `run` alone, and there after what a user may get wrong.
COMMANDS: dict[str, str] = {
    "fit": "train a GAN in a folder, or carry on with one",
    "sample": "draw images from a run's generator",
    "evaluate": "score a run's generator: FID, Inception score and others",
    "compare": "hold the scores of several runs side by side",
    "classifier": "train the classifier that FCD and CS rest on",
    "presets": "list what there is to train",
    "experiment": "make a figure or table of the paper",
    "launch": "run a command in several worker processes on this machine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: those of the command line; `sys.argv`'s if None.

    Returns:
        The exit code: 0, 1 after an error, 2 for wrong usage, 130 after Ctrl-C, 143
        after SIGTERM.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # λ in a terminal that has no such letter becomes a question mark.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    parser = Parser("python -m training", description=__doc__)
    parser.add_argument(
        "--version", action="version", version=f"sn-keras {own_version()}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + "."
        )
        sub.set_defaults(parser=sub)
        if given[:1] == [name]:
            module = importlib.import_module(f"training.commands.{name}")
            module.add_arguments(sub)
    parsed, unknown = parser.parse_known_args(given)
    if unknown:
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return module.run(parsed) or 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        say_error(parsed.parser.as_typed(told))
        return 1


def _missing(error: ModuleNotFoundError) -> str:
    """Returns what to do about a package that this Python lacks."""
    return (
        f"{error}, in {sys.executable}. `make setup` makes an environment with what "
        "the commands need, in .venv: run them by .venv/bin/python."
    )


def _told(error: Exception) -> str | None:
    """Returns what a user is told of an error, None if it is a fault of the program."""
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, (ImportError, OSError, RuntimeError, TypeError, ValueError)):
        return str(error)
    # NumPy says how much was asked for, Python nothing.
    if isinstance(error, MemoryError):
        return f"There is not enough memory. {error}".strip()
    # TensorFlow's own errors have no class in common with Python's: most of them are
    # of memory, and their first line says of how much.
    if type(error).__module__.startswith("tensorflow."):
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return None


if __name__ == "__main__":
    # Not where in the source: a user wants the sentence.
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        sys.exit(main())
    except ModuleNotFoundError as missing:  # before a command runs
        say_error(_missing(missing))
        sys.exit(1)
