"""Settings of every test."""

import os
from pathlib import Path

import hypothesis
import jax
import pytest

# An array broadcast by accident is an error, not a wrong number.
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example of a property compiles its program.
hypothesis.settings.register_profile("ee_jax", deadline=None)
hypothesis.settings.load_profile("ee_jax")

# Compiling is most of the work, and of that two fifths are XLA's optimizations. The README's
# commands are compiled as users' are.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

# The README's commands take minutes, and whole runs nearly as long.
LONG = (Path(__file__).with_name("test_readme.py"), Path(__file__).with_name("runs"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process is left alone with one in the end."""

    def turn(item: pytest.Item) -> int:
        return next((n for n, path in enumerate(LONG) if item.path.is_relative_to(path)), 2)

    items.sort(key=turn)
