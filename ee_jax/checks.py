"""How the parts of an experiment check themselves: one line that names the field."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from ee_jax.errors import UserError
from ee_jax.registry import Registry

EVERY = CollectionCheckStrategy.ALL_ITEMS  # of a tuple, not its first item alone
# What no path, name or table can hold: control characters, and halves of surrogate pairs.
UNWRITTEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
WIDEST = 2**63  # what 64 bits hold, and JSON's readers
LARGEST = (2 - 2.0**-23) * 2.0**127  # of float32
LEAST = 2.0**-126  # of float32's positive numbers that are not rounded to 0


def check(ok: bool, field: str, what: str) -> None:
    """Raises the one-line error of a bad `field` unless `ok`."""
    if not ok:
        raise UserError(f"config field `{field}` {what}")


def shown(value: object) -> str:
    """A value as a part of one line, whatever it is; of a long one the beginning."""
    try:
        return " ".join(repr(value).split())[:60]
    except Exception:  # a number of 5,000 digits, lists nested too deep, an object's own repr
        return f"a value of type {type(value).__name__}"


def check_types(part: Any, prefix: str = "") -> None:
    """Raises the one-line error of the first field whose value is not of its type.

    Nor is a bool a number, text with control characters a name, or infinity a float: what
    passes can be written down as JSON, and its numbers computed with.
    """
    types = get_type_hints(type(part))  # also of a file with `from __future__ annotations`
    for field in dataclasses.fields(part):
        value, kind = getattr(part, field.name), types[field.name]
        plain = kind.__name__ if isinstance(kind, type) else str(kind)
        try:
            check_type(value, kind, collection_check_strategy=EVERY)
            ok = "bool" in plain or not any(isinstance(each, bool) for each in _leaves(value))
        except (TypeCheckError, RecursionError):
            ok = False
        wanted = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", plain)
        check(ok, f"{prefix}{field.name}", f"must be {wanted}, not {shown(value)}")
        for each in _leaves(value):
            _check_leaf(each, f"{prefix}{field.name}")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _check_leaf(value: Any, field: str) -> None:
    if isinstance(value, str):
        ok = not UNWRITTEN.search(value)
        check(ok, field, f"must be text without control characters, not {shown(value)}")
    elif isinstance(value, float):
        check(abs(value) <= LARGEST, field, f"must be finite in 32 bits, not {value}")
    elif isinstance(value, int):
        check(abs(value) < WIDEST, field, f"must be below 2^63, not {shown(value)}")


def check_name(name: str, known: Registry, field: str) -> None:
    """Raises the one-line error of a name that is not registered; says the nearest one."""
    if name not in known:
        check(False, field, f"names {known.unknown(name)}")


def check_counts(part: Any, prefix: str, *names: str) -> None:
    """Raises the one-line error of the first of these fields, or of what one holds, below 1."""
    for name in names:
        value = getattr(part, name)
        each = value if isinstance(value, tuple) else (1 if value is None else value,)
        ok = bool(each) and min(each) >= 1
        check(ok, f"{prefix}{name}", f"must be >= 1, not {shown(value)}")
        check_bounded(max(each), f"{prefix}{name}")


def check_bounded(value: float, field: str) -> None:
    """Raises the one-line error of a number that 32 bits do not hold."""
    check(value < 2**31, field, "must be below 2^31")


def check_positive(value: float, field: str) -> None:
    """Raises the one-line error of a number that cannot divide, or scale a step."""
    ok = LEAST <= value <= LARGEST
    check(ok, field, f"must be positive and finite in 32 bits, not {shown(value)}")


def check_rate(value: float, field: str) -> None:
    """Raises the one-line error of a share that must leave something over."""
    check(0 <= value < 1, field, f"must be in [0, 1), not {value}")


def check_shares(values: Sequence[float], field: str, least: int = 0) -> None:
    """Raises the one-line error of shares, at `least` so many, that do not lie in [0, 1]."""
    ok = len(values) >= least and all(0 <= value <= 1 for value in values)
    check(ok, field, f"must lie in [0, 1], not {shown(values)}")


def check_layers(layers: tuple[int, ...] | None) -> None:
    """Raises the one-line error of exit layers that do not rise; None: every block."""
    ok = layers is None or is_rising(layers)
    check(ok, "exits.layers", f"must rise, e.g. (2, 4, 6), not {shown(layers)}")
    check_bounded(max(layers or (1,)), "exits.layers")


def resolve_layers(layers: tuple[int, ...] | None, blocks: int, whose: str) -> tuple[int, ...]:
    """The exit layers of a backbone or a model of `blocks` blocks; the last is `blocks`."""
    layers = layers or tuple(range(1, blocks + 1))
    last = f"must end at the {whose}'s last block, {blocks}, not at {layers[-1]}"
    check(layers[-1] == blocks, "exits.layers", last)
    return layers


def is_rising(values: tuple[int, ...]) -> bool:
    """True for positive numbers in strictly rising order."""
    return bool(values) and all(a < b for a, b in zip((0, *values), values, strict=False))
