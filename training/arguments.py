"""A command's options, made of a dataclass's fields; how help and mistakes look."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
import sys
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn

from training.terminal import say_error


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says what each option's default is, unless it is nothing or a flag.

    A text of several lines keeps them.
    """

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(
            super(HelpFormatter, self)._fill_text(one, width, indent) for one in lines
        )


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, with the name that was likely meant."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs.setdefault("formatter_class", HelpFormatter)
        # A part of a name may be that of another option one day.
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2."""
        say_error(f"{message}{self._meant(message)} (`{self.prog} --help` says more)")
        sys.exit(2)

    def options(self) -> list[str]:
        """Returns the options by the names that are typed, such as `--image-size`."""
        return re.findall(r"--[a-z][\w-]*", self.format_usage())

    def as_typed(self, message: str) -> str:
        """Returns an error's text with options named as they are typed.

        `image_size` of a dataclass or function is `--image-size` here.
        """
        typed = {option[2:].replace("-", "_"): option for option in self.options()}
        for name, option in typed.items():
            message = message.replace(f"`{name}`", f"`{option}`")
            message = re.sub(rf"(Received: |, ){name}=", rf"\1{option}=", message)
        return message

    def _meant(self, message: str) -> str:
        unknown = re.search(r"unrecognized arguments: (--[\w-]+)", message)
        if unknown is not None:
            return _meant(unknown[1], self.options())
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if choice is not None:
            return _meant(choice[1], re.findall(r"[^\s',]+", choice[2]))
        return ""


def _meant(given: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, list(known), 1)
    return f". Did you mean {close[0]}?" if close else ""


def add_options(
    parser: argparse._ActionsContainer,
    kind: type,
    defaults: Any = None,
    without: Collection[str] = (),
    known: Mapping[str, Iterable[str]] | None = None,
) -> None:
    """Adds an option for each field of a dataclass that has a help text.

    What is not given on the command line is absent from the parsed arguments, so that
    a preset's own value can stand.

    Args:
        parser: gets the options.
        kind: the dataclass; fields with `metadata["help"]` count.
        defaults: one whose values the help names as the defaults; None: the fields'.
        without: names of fields that get no option.
        known: for fields that are names, those that there are; the help lists them.
    """
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if "help" in field.metadata and field.name not in without:
            default = (
                field.default if defaults is None else getattr(defaults, field.name)
            )
            text = field.metadata["help"]
            if known is not None and field.name in known:
                text += ": " + ", ".join(known[field.name])
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                dest=field.name,
                type=_parser_of(hints[field.name]),
                # `--flips` alone is `--flips true`.
                nargs="?" if hints[field.name] is bool else None,
                const=True if hints[field.name] is bool else None,
                default=argparse.SUPPRESS,
                metavar=field.name.upper(),
                help=f"{text} (default: {_shown(default)})",
            )


def given(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Returns the fields of a dataclass that were given on the command line."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def _parser_of(hint: Any) -> Any:
    options = typing.get_args(hint)
    optional = isinstance(hint, types.UnionType) and types.NoneType in options
    kind = (
        next(one for one in options if one is not types.NoneType) if options else hint
    )

    def parse(text: str) -> Any:
        if optional and text.lower() == "none":
            return None
        return _boolean(text) if kind is bool else kind(text)

    # What argparse calls it in an error: "invalid int value".
    parse.__name__ = kind.__name__
    return parse


def _boolean(text: str) -> bool:
    known = {"true": True, "yes": True, "false": False, "no": False}
    if text.lower() not in known:
        raise ValueError
    return known[text.lower()]


def _shown(default: Any) -> str:
    return "none" if default is None else str(default)
