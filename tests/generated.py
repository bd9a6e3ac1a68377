"""Generated bad input: what is read is right or refused, in one line and in bounded time."""

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from ee_jax.errors import UserError

# One body, a hundred examples of it, and with `-m slow` many more.
EXAMPLES = pytest.mark.parametrize(
    "examples", [100, pytest.param(2000, marks=pytest.mark.long)]
)
# Reading a tiny file takes milliseconds; a loop over what a number promises takes for ever.
SECONDS = 20.0


def outcome(read: Callable[..., Any], *given: Any) -> Any:
    """What is read, or the UserError; any other exception is a fault, and so is waiting."""
    start = time.perf_counter()
    try:
        found = read(*given)
    except UserError as error:
        found = error
    assert time.perf_counter() - start < SECONDS
    if isinstance(found, UserError):
        assert 0 < len(str(found)) < 1000, "nothing is said, or more than a line"
        assert "\n" not in str(found)
    return found


@st.composite
def damaged(draw, content):
    """Bytes overwritten, cut off, or put in, one to three times."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)) | st.integers(0, min(400, len(content))))
        junk = draw(st.binary(min_size=1, max_size=8))
        match draw(st.sampled_from(["over", "cut", "in", "bit"])):
            case "over":
                content[at : at + len(junk)] = junk
            case "cut":
                content = content[:at]
            case "in":
                content[at:at] = junk
            case "bit" if at < len(content):
                content[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


PLAIN = (
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4)
    | st.sampled_from([10**30, 10**400, 1e308, -0.0, "nan", "1", "a\nb", "\x1b[2J", "\ud800"])
)  # fmt: skip
JSON = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=3), PLAIN)


def places(content, at=()):
    """Where in JSON something stands: keys and numbers that lead there."""
    parts = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in parts:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


@st.composite
def altered(draw, content):
    """JSON with one to three values left out, put in, or of another kind."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        found = sorted(places(content), key=len)
        if not found:
            break
        # As often a field of the whole as one of a field's fields, however many those are.
        depth = draw(st.sampled_from(sorted({len(place) for place in found})))
        *way, last = draw(st.sampled_from([place for place in found if len(place) == depth]))
        part = content
        for key in way:
            part = part[key]
        match draw(st.sampled_from(["drop", "other", "nest", "more"])):
            case "drop":
                del part[last]
            case "other":
                part[last] = draw(JSON)
            case "nest":
                part[last] = [part[last]]
            case "more" if isinstance(part, dict):
                part[draw(st.text(max_size=3))] = draw(JSON)
    return content
