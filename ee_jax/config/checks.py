"""How the parts of an experiment check themselves: one line that names the field."""

import dataclasses
import re
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


def is_rising(values: tuple[int, ...]) -> bool:
    """True for positive numbers in strictly rising order."""
    return bool(values) and all(a < b for a, b in zip((0, *values), values, strict=False))
