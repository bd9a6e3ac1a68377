"""The command starts again once, with what was asked before kept."""

import os
import subprocess
import sys

import pytest

from ee_jax.huge_pages import ON_REQUEST, TUNABLES

CODE = """
import os, sys
print(os.environ.get("GLIBC_TUNABLES"), flush=True)
from ee_jax.cli import command
sys.argv = ["ee-jax", "--version"]
command()
"""


def lines(tunables: str | None) -> list[str]:
    """What a process prints that begins with these tunables."""
    env = {name: value for name, value in os.environ.items() if name != TUNABLES}
    env |= {} if tunables is None else {TUNABLES: tunables}
    asked = [sys.executable, "-c", CODE]
    done = subprocess.run(asked, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[:-1]  # the version comes last


def on_request() -> bool:
    return ON_REQUEST.is_file() and "[madvise]" in ON_REQUEST.read_text()


@pytest.mark.skipif(not on_request(), reason="no huge pages on request here")
def test_the_command_starts_again_with_huge_pages():
    assert lines(None) == ["None", "glibc.malloc.hugetlb=1"]
    other = "glibc.malloc.arena_max=2"
    assert lines(other) == [other, f"{other}:glibc.malloc.hugetlb=1"]


@pytest.mark.parametrize("given", ["glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=1"])
def test_who_has_chosen_keeps_it(given):
    assert lines(given) == [given]
