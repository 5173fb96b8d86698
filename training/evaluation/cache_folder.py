"""Where classifiers and real images' features are kept."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_folder() -> Path:
    """Returns `$XDG_CACHE_HOME/sn-keras`, or `~/.cache/sn-keras`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "sn-keras"
