"""How the parts of an experiment check themselves: one line that names the field."""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from ee_jax.errors import UserError
from ee_jax.registry import Registry

EVERY = CollectionCheckStrategy.ALL_ITEMS  # of a tuple, not its first item alone


def check(ok: bool, field: str, what: str) -> None:
    """Raises the one-line error of a bad `field` unless `ok`."""
    if not ok:
        raise UserError(f"config field `{field}` {what}")


def check_types(part: Any, prefix: str = "") -> None:
    """Raises the one-line error of the first field whose value is not of its type."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        try:
            check_type(value, field.type, collection_check_strategy=EVERY)
        except TypeCheckError:
            plain = field.type.__name__ if isinstance(field.type, type) else str(field.type)
            wanted = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", plain)
            given = " ".join(repr(value).split())
            check(False, f"{prefix}{field.name}", f"must be {wanted}, not {given:.60}")


def check_name(name: str, known: Registry, field: str) -> None:
    """Raises the one-line error of a name that is not registered; says the nearest one."""
    if name not in known:
        check(False, field, f"names {known.unknown(name)}")


def check_counts(part: Any, prefix: str, *names: str) -> None:
    """Raises the one-line error of the first of these fields that is below 1, if not None."""
    for name in names:
        value = getattr(part, name)
        check(value is None or value >= 1, f"{prefix}{name}", f"must be >= 1, not {value}")
        check_bounded(value or 0, f"{prefix}{name}")


def check_bounded(value: int, field: str) -> None:
    """Raises the one-line error of a number that 32 bits do not hold."""
    check(value < 2**31, field, "must be below 2^31")


def check_positive(value: float, field: str) -> None:
    """Raises the one-line error of a number that cannot divide, or scale a step."""
    check(0 < value < math.inf, field, f"must be positive and finite, not {value}")


def check_rate(value: float, field: str) -> None:
    """Raises the one-line error of a share that must leave something over."""
    check(0 <= value < 1, field, f"must be in [0, 1), not {value}")


def check_shares(values: Sequence[float], field: str, least: int = 0) -> None:
    """Raises the one-line error of shares, at `least` so many, that do not lie in [0, 1]."""
    ok = len(values) >= least and all(0 <= value <= 1 for value in values)
    check(ok, field, f"must lie in [0, 1], not {values}")


def check_layers(layers: tuple[int, ...] | None) -> None:
    """Raises the one-line error of exit layers that do not rise; None: every block."""
    ok = layers is None or is_rising(layers)
    check(ok, "exits.layers", f"must rise, e.g. (2, 4, 6), not {layers}")


def resolve_layers(layers: tuple[int, ...] | None, blocks: int, whose: str) -> tuple[int, ...]:
    """The exit layers of a backbone or a model of `blocks` blocks; the last is `blocks`."""
    layers = layers or tuple(range(1, blocks + 1))
    last = f"must end at the {whose}'s last block, {blocks}, not at {layers[-1]}"
    check(layers[-1] == blocks, "exits.layers", last)
    return layers


def is_rising(values: tuple[int, ...]) -> bool:
    """True for positive numbers in strictly rising order."""
    return bool(values) and all(a < b for a, b in zip((0, *values), values, strict=False))
