"""`import ee_jax`: light, and it gives what a user needs, with words on each."""

import subprocess
import sys

import pytest

import ee_jax

FUNCTIONS = ["calibrate", "early_exit", "generate", "load", "load_config", "run", "save"]


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, ee_jax; dir(ee_jax); "
        "print({'jax', 'flax', 'numpy', 'tensorflow_datasets'} & {*sys.modules})"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes_and_gives(name):
    text = getattr(ee_jax, name).__doc__
    for part in ("Args:", "Returns:", *(["Raises:"] if name != "early_exit" else [])):
        assert part in text


def test_every_name_is_there():
    assert {*FUNCTIONS, "exits", "losses"} == {*ee_jax.__all__}
    assert {*ee_jax.__all__} <= {*dir(ee_jax)}
    assert ee_jax.exits.CONFIDENCES
    assert ee_jax.losses.__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ee_jax.nothing  # noqa: B018
