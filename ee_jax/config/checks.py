"""How the parts of an experiment check themselves: one line that names the field."""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import typeguard

from ee_jax.errors import UserError


def check(ok: bool, field: str, what: str) -> None:
    """Raises the one-line error of a bad `field` unless `ok`."""
    if not ok:
        raise UserError(f"config field `{field}` {what}")


def check_types(part: Any, prefix: str = "") -> None:
    """Raises the one-line error of the first field whose value is not of its type."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        try:
            typeguard.check_type(value, field.type)
        except typeguard.TypeCheckError:
            plain = field.type.__name__ if isinstance(field.type, type) else str(field.type)
            wanted = re.sub(r"typing\.|ee_jax\.config\.\w+\.", "", plain)
            given = " ".join(repr(value).split())
            check(False, f"{prefix}{field.name}", f"must be {wanted}, not {given:.60}")


def check_names(strategies: Sequence[Any]) -> None:
    """Raises the one-line error of strategies whose names cannot name their folders."""
    names = [strategy.name for strategy in strategies]
    once = bool(names) and len(set(names)) == len(names)
    check(once, "strategies", f"must have different names, not {names}")
    plain = all(name.replace("-", "_").isidentifier() for name in names)
    check(plain, "strategies", f"must have names that can name a folder, not {names}")


def check_pause(seconds: float) -> None:
    """Raises the one-line error of a pause between checkpoints that is none."""
    ok = 0 <= seconds < math.inf
    check(ok, "checkpoint_seconds", f"must be >= 0, not {seconds}")


def is_rising(values: tuple[int, ...]) -> bool:
    """True for positive numbers in strictly rising order."""
    return bool(values) and all(a < b for a, b in zip((0, *values), values, strict=False))
