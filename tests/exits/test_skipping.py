"""What has stopped is not run: a loop that computed all and chose would fail here."""

import jax
import jax.numpy as jnp
import pytest

from ee_jax.exits.loop import run_exits
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import forced_rule
from ee_jax.inference.early_exit import compaction_sizes

LAYERS = (1, 2, 3, 4)


@pytest.fixture
def ran():
    """(what, exit, the numbers of the examples that it ran on), as they happened."""
    return []


def run(ran, depths, sizes=()):
    """Runs examples to the given depths, under jit, and says what really ran."""

    def note(what, exit, number_B):
        def noted(number_B):
            ran.append((what, exit, sorted(number_B.tolist())))

        jax.debug.callback(noted, number_B)

    def segment(exit):
        def run(number_B):
            note("segment", exit, number_B)
            return number_B

        return run

    def head(exit):
        def run(number_B):
            note("head", exit, number_B)
            return ExitOutput(jax.nn.one_hot(number_B % 3, 3))

        return run

    exits = range(len(LAYERS))
    rule = forced_rule("max_prob", jnp.array(depths), LAYERS)
    program = jax.jit(
        lambda number_B: run_exits(
            [segment(exit) for exit in exits], [head(exit) for exit in exits], rule,
            number_B, sizes,
        )
    )  # fmt: skip
    out = program(jnp.arange(len(depths)))
    jax.effects_barrier()
    assert out.exit_B.tolist() == [depth - 1 for depth in depths]
    for what in ("segment", "head"):
        yield [(exit, numbers) for kind, exit, numbers in ran if kind == what]


def test_masking_runs_the_batch_until_the_last_has_stopped(ran):
    everyone = [0, 1, 2, 3]
    segments, heads = run(ran, [1, 3, 2, 1])
    assert segments == heads == [(exit, everyone) for exit in (0, 1, 2)]


@pytest.mark.parametrize("sizes", [(), (1, 2, 4)])
def test_nothing_runs_after_all_have_stopped(ran, sizes):
    segments, heads = run(ran, [1] * 4, sizes)
    assert segments == heads == [(0, [0, 1, 2, 3])]


def test_with_the_batch_among_the_sizes_the_smallest_that_holds_those_who_run_does(ran):
    segments, heads = run(ran, [4, 1, 2, 3, 1, 4, 1, 3], (1, 2, 4, 6, 8))
    assert segments == heads
    assert [exit for exit, _ in segments] == [0, 1, 2, 3]
    assert [len(numbers) for _, numbers in segments] == [8, 6, 4, 2]
    for (_, numbers), running in zip(
        segments, [range(8), (0, 2, 3, 5, 7), (0, 3, 5, 7), (0, 5)], strict=True
    ):
        assert set(running) <= set(numbers)
        assert len(set(numbers)) == len(numbers)


def test_without_it_those_who_run_do_so_in_pieces(ran):
    """Large ones while they are filled, then small ones; 3 of 4 is not too wasteful."""
    segments, _ = run(ran, [4, 1, 2, 3, 1, 4, 1, 3], (1, 4))
    assert [(exit, len(numbers)) for exit, numbers in segments] == [
        (0, 4), (0, 4), (1, 4), (1, 1), (2, 4), (3, 1), (3, 1),
    ]  # fmt: skip
    for exit, running in enumerate([range(8), (0, 2, 3, 5, 7), (0, 3, 5, 7), (0, 5)]):
        here = [number for at, numbers in segments if at == exit for number in numbers]
        assert set(here) == set(running)
        assert len(set(here)) == len(here)


def test_the_last_piece_has_what_is_left(ran):
    """A row beyond the batch's end is computed as a copy of the last, and dropped."""
    segments, _ = run(ran, [1, 2, 2, 2, 3], (2,))
    assert [(exit, len(set(numbers))) for exit, numbers in segments] == [
        (0, 2), (0, 2), (0, 1), (1, 2), (1, 2), (2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("length", [1, 16, 64, 100, 512])
@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_the_sizes_that_we_take_are_few(length, platform):
    """They compile soon, and a few rows that are left are not run as many."""
    for batch in range(1, 70):
        sizes = compaction_sizes(batch, length, platform)
        assert list(sizes) == sorted(set(sizes))
        assert 1 <= len(sizes) <= 9
        assert 1 <= sizes[0] <= max(1, -(-batch // 4))
        assert sizes[-1] <= batch
