"""`python -m export`: parses, calls, prints."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

# A command, and what it does. Its module in `export.commands` has
# `add_arguments(parser)` and `run(options)`; `options.report` prints a line.
COMMANDS: dict[str, str] = {
    "generator": "Writes a Keras generator as files that need no Keras, checks each "
    "against Keras in a process of its own, and prints the differences.",
    "discriminator": "Writes a Keras discriminator as a SavedModel (images to logits "
    "and features) and checks it against Keras.",
    "verify": "Checks that the files of an export are the ones that were written, and "
    "runs each again on the latents whose Keras images the export holds.",
    "benchmark": "Measures the files of an export: milliseconds of a call (median) "
    "and images a second, in turns, in a new process for each number of threads.",
    "web": "Writes a static folder with a page that draws with a `.tflite` file of an "
    "export, in the browser alone (LiteRT.js, fetched with npm).",
}
# Those that write an export into `--output`.
_WRITERS = ("generator", "discriminator")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; without the name of one, `generator`.

    Args:
        arguments: those of the command line; `sys.argv`'s if None.

    Returns:
        The exit code: 0, 1 after an error, 130 after Ctrl-C, 143 after SIGTERM.
    """
    # Before TensorFlow is imported: its start-up messages would bury the table.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given.pop(0) if given and given[0] in COMMANDS else "generator"
    # And no path, such as `generator.keras`.
    is_word = bool(given) and not {".", "/", os.sep}.intersection(given[0])
    close = difflib.get_close_matches(given[0], COMMANDS, 1) if is_word else []
    if name == "generator" and close and not os.path.exists(given[0]):
        _say_error(f"There is no command {given[0]!r}. Did you mean {close[0]}?")
        return 2
    usage = ""
    # So that the temporary folder is removed.
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        module = importlib.import_module(f"export.commands.{name}")
        parser = _parser(name, module)
        usage = parser.format_usage()
        parsed = parser.parse_args(given)
        if name in _WRITERS:  # told at once, and again when it is written
            from export import folder as folders

            folders.check_target(parsed.output, parsed.overwrite)
        module.run(parsed)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        _say_error(_missing(error))
        return 1
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        _say_error(_as_typed(str(error), usage))
        return 1
    except Exception as error:
        # TensorFlow's own have no class in common with Python's.
        if not type(error).__module__.startswith("tensorflow."):
            raise
        text = str(error).strip().splitlines()[0]
        _say_error(f"{type(error).__name__}: {text}")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, with the names that were likely meant."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2."""
        wrong = re.search(r"(?:choice: '|arguments: )([^' ]*)", message)
        known = re.findall(r"--[a-z][\w-]*", self.format_usage())
        if choices := re.search(r"choose from (.*)\)", message):
            known = re.findall(r"[^\s',]+", choices[1])
        begun = wrong[1] if wrong else ""
        near = [name for name in known if begun and name.startswith(begun)]
        near = near or difflib.get_close_matches(begun, known)
        meant = f". Did you mean {' or '.join(near)}?" if near else ""
        _say_error(f"{message}{meant} (`{self.prog} --help` says more)")
        sys.exit(2)


def _parser(name: str, module: Any) -> argparse.ArgumentParser:
    program, text = f"python -m export {name}", COMMANDS[name]
    if name == "generator":
        others = ", ".join(f"`{one}`" for one in COMMANDS if one != name)
        program = "python -m export"
        text += f" Other commands: {others}; each has a --help."
    parser = _Parser(program, description=text, allow_abbrev=False)
    module.add_arguments(parser)
    if name in _WRITERS:
        parser.add_argument("--output", required=True, metavar="DIR", help="to write")
        parser.add_argument(
            "--overwrite", action="store_true", help="replace an earlier export"
        )
    usage = parser.format_usage()
    parser.set_defaults(report=lambda line: print(_as_typed(line, usage), flush=True))
    return parser


def _as_typed(text: str, usage: str) -> str:
    """Returns a text with options named as they are typed.

    `min_psnr` of the function is `--min-psnr` here, and `precisions` is `--precision`.
    """
    for option in re.findall(r"--[a-z][\w-]*", usage):
        name = option[2:].replace("-", "_")
        text = re.sub(rf"`{name}s?`", f"`{option}`", text)
        text = re.sub(rf"(Received: |, ){name}s?=", rf"\1{option}=", text)
    return text


def _say_error(text: str) -> None:
    # What a terminal would obey, as a path may hold it, is shown as Python writes it.
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    print(f"error: {shown}", file=sys.stderr)


def _missing(error: ModuleNotFoundError) -> str:
    """Returns what to do about a package that this Python lacks."""
    return (
        f"{error}, in {sys.executable}. `make setup` makes an environment with what "
        "the commands need, in .venv: run them by .venv/bin/python."
    )


def _terminated(number: int, frame: Any) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    # Not where in the source: a user wants the sentence.
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    sys.exit(main())
