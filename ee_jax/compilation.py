"""Functions compiled ahead of time, so that compile time is known and told apart."""

import time
from collections.abc import Callable
from typing import Any

import jax


class Program:
    """A function compiled once for each set of shapes it is called with."""

    def __init__(self, function: Callable, donate: tuple[int, ...] = ()):
        self._jitted = jax.jit(function, donate_argnums=donate)
        self._compiled: dict[Any, Callable] = {}
        self.seconds = 0.0  # spent compiling so far

    def __call__(self, *arguments: Any) -> Any:
        """Runs the function, compiled for these arguments' shapes."""
        return self.at(*arguments)(*arguments)

    def at(self, *arguments: Any) -> Callable:
        """The compiled function for arguments of these shapes, to be called directly."""
        leaves, structure = jax.tree.flatten(arguments)
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._compiled:
            start = time.perf_counter()
            self._compiled[key] = self._jitted.lower(*arguments).compile()
            self.seconds += time.perf_counter() - start
        return self._compiled[key]
