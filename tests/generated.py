"""Generated bad input: what is read is right or refused, in one line and in bounded time."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from ee_jax.errors import UserError

# One body, a hundred examples of it, and with `-m slow` many more.
EXAMPLES = pytest.mark.parametrize(
    "examples", [100, pytest.param(2000, marks=pytest.mark.slow)]
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
