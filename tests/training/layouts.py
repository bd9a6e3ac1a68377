"""Exit layouts of the tests."""

from ee_jax.training.stage import ExitLayout


def exits(count: int) -> ExitLayout:
    """A classifier's exits after each of so many blocks."""
    return ExitLayout(tuple(range(1, count + 1)))
