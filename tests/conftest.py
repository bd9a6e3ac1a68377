"""Settings of every test."""

from pathlib import Path

import hypothesis
import jax
import pytest

# An array broadcast by accident is an error, not a wrong number.
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example of a property compiles its program.
hypothesis.settings.register_profile("ee_jax", deadline=None)
hypothesis.settings.load_profile("ee_jax")

# Whole runs and the README's commands take minutes.
LONG = (Path(__file__).with_name("test_readme.py"), Path(__file__).with_name("runs"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no process is left alone with one of them in the end."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(path) for path in LONG))
