"""Settings of every test."""

import os
import sys
from pathlib import Path
from types import ModuleType

import hypothesis
import jax
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Shapes and types are checked at every call in the rooms of formulas. The hook finds the
# checker by the name of a module. An int is a float too, as PEP 484 has it.
checker = ModuleType("type_checker")
setattr(checker, "checked", beartype(conf=BeartypeConf(is_pep484_tower=True)))  # noqa: B010
sys.modules[checker.__name__] = checker
FORMULAS = ["ee_jax.exits", "ee_jax.losses", "ee_jax.calibration"]
install_import_hook(FORMULAS, "type_checker.checked")

# The experiments' own modules; last, so that what is installed is what is tested.
sys.path.append(str(Path(__file__).parents[1]))

# An array broadcast by accident is an error, not a wrong number.
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example of a property compiles its program.
hypothesis.settings.register_profile("ee_jax", deadline=None)
hypothesis.settings.load_profile("ee_jax")

# Compiling is most of the work: without XLA's costly optimizations the heaviest files take two
# thirds of the time. The README's commands are compiled as users' are.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

# The README's commands take minutes, and whole runs nearly as long.
LONG = (Path(__file__).with_name("test_readme.py"), Path(__file__).with_name("runs"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process is left alone with one in the end."""

    def turn(item: pytest.Item) -> int:
        return next((n for n, path in enumerate(LONG) if item.path.is_relative_to(path)), 2)

    items.sort(key=turn)
