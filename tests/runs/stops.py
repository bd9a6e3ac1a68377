"""Whether points of a run show anything about where examples stop."""

from collections.abc import Sequence

from ee_jax.results import Point


def some_stop_early(points: Sequence[Point]) -> bool:
    """Does some point have examples at several exits? Else `unlike_trace` shows little."""
    return any(sum(count > 0 for count in point.exit_counts) > 1 for point in points)
