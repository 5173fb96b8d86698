"""How the commands' help looks."""

from __future__ import annotations

import argparse


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
