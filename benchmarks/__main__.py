"""`python -m benchmarks COMMAND`: one module a command.

A command is a module of `benchmarks.commands` with `add_arguments(parser)` and
`run(arguments)`, which prints its tables and returns what `--json` writes. To add
one, write the module and name it in `COMMANDS`. Only the module that is asked for is
imported, so each may decide about threads before a framework is loaded.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
from collections.abc import Sequence

from benchmarks.shared import machine
from benchmarks.shared.environments import SetUpError
from training.arguments import Parser
from training.terminal import say_error

COMMANDS = {
    "overhead": "what spectral normalization adds to a step, in all and by layer",
    "backends": "the same of an update of D on JAX, torch or TensorFlow, GPU or CPU",
    "step": "seconds per G update by method, network, precision and batch size",
    "peers": "the same step in PyTorch, TensorFlow Addons and torch-mimicry",
    "input": "images per second of each data route against what a step takes",
    "startup": "import time, and time to the first step",
    "gradient": "gradient error of each implementation against an exact oracle",
    "faults": "kill a small run at random moments; it must end as if it never was",
    "fid_statistics": "seconds and memory of FID statistics beside torch-fidelity",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command.

    Args:
        argv: the arguments, `sys.argv[1:]` by default.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(
        "python -m benchmarks", description=sys.modules["benchmarks"].__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(parser=command)
        command.add_argument(
            "--json", type=pathlib.Path, metavar="FILE", help="also write the result"
        )
        if name in argv[:1]:
            module = importlib.import_module(
                f"benchmarks.commands.{name.replace('-', '_')}"
            )
            module.add_arguments(command)
    arguments = parser.parse_args(argv)
    if arguments.json is not None and arguments.json.is_dir():
        arguments.parser.error(f"--json must be a file. Received: {arguments.json}")

    about = machine.describe()
    print(machine.sentence(about), flush=True)
    try:
        result = {"machine": about, "arguments": argv, **module.run(arguments)}
    except (SetUpError, ValueError) as error:
        say_error(arguments.parser.as_typed(str(error)))
        raise SystemExit(1) from None
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"error: {error}, in {sys.executable}. `make setup-dev` makes an "
            "environment with what the commands need, in .venv."
        ) from None
