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


@pytest.mark.parametrize("sizes", [(), (1, 2)])
def test_nothing_runs_after_all_have_stopped(ran, sizes):
    segments, heads = run(ran, [1] * 4, sizes)
    assert segments == heads == [(0, [0, 1, 2, 3])]


def test_compaction_runs_the_smallest_size_that_holds_those_who_run(ran):
    segments, heads = run(ran, [4, 1, 2, 3, 1, 4, 1, 3], (1, 2, 4, 6))
    assert segments == heads
    assert [exit for exit, _ in segments] == [0, 1, 2, 3]
    assert [len(numbers) for _, numbers in segments] == [8, 6, 4, 2]
    for (_, numbers), running in zip(
        segments, [range(8), (0, 2, 3, 5, 7), (0, 3, 5, 7), (0, 5)], strict=True
    ):
        assert set(running) <= set(numbers)
        assert len(set(numbers)) == len(numbers)


def test_where_no_small_size_holds_them_the_batch_runs(ran):
    segments, _ = run(ran, [1, 2, 2, 2, 3], (2,))
    assert [len(numbers) for _, numbers in segments] == [5, 5, 2]


@pytest.mark.parametrize("batch", range(1, 70))
def test_the_sizes_that_we_take_waste_little(batch):
    """Less than an eighth of the batch more than needed, and few branches to compile."""
    sizes = compaction_sizes(batch, "cpu")
    assert list(sizes) == sorted(set(sizes))
    assert batch in sizes
    assert len(sizes) <= 2 + 15 + 1
    for running in range(1, batch + 1):
        fit = min(size for size in sizes if size >= running)
        assert fit - running < max(1, batch // 8)
        if running <= 2:
            assert fit == running
