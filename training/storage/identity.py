"""Which run a config is of: the same, or how it differs from another one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

# Fields of a preset that say nothing about what is computed.
_IGNORED = frozenset({"name", "description"})


def of(config: dict[str, Any]) -> str:
    """Returns a digest of what makes a run this one; equal runs have the same."""
    preset = dict(config.get("preset", {}))
    if preset.get("decay_steps") == 0:
        preset.pop("steps", None)
    for name in _IGNORED:
        preset.pop(name, None)
    text = json.dumps([preset, config.get("data", {})], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(
    old: dict[str, Any], new: dict[str, Any], defaults: dict[str, Any]
) -> list[str]:
    """Returns what makes two configs belong to different runs, in words."""
    # JSON has no tuples: without a round trip (1, 2) would differ from [1, 2].
    new = json.loads(json.dumps(new))
    digests = [config.get("data", {}).get("digest") for config in (old, new)]
    # The same images, wherever they lie now.
    moved = {"data"} if digests[0] is not None and digests[0] == digests[1] else set()
    found = []
    for part in ("preset", "data"):
        before, after = old.get(part, {}), new.get(part, {})
        if part == "preset":
            before = {**defaults, **before}
        # Without a decay a run may be carried on for longer.
        ignored = _IGNORED | moved if part == "preset" else frozenset()
        if before.get("decay_steps") == 0 == after.get("decay_steps"):
            ignored = ignored | {"steps"}
        if "digest" not in before:
            # Version 0.1.0 knew images by their shape and number alone.
            ignored = ignored | {"digest"}
        for key in sorted((before.keys() | after.keys()) - ignored):
            if key == "digest" and before[key] != after.get(key):
                found.append("the images or the classes' names are others")
            elif before.get(key) != after.get(key):
                found.append(
                    f"{key} is {before.get(key)!r} there and {after.get(key)!r} here"
                )
    return found
