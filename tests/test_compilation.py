"""A program is compiled once for each set of shapes, and says how long that took."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.compilation import Program


class Traced:
    """A function that counts how often it is traced."""

    def __init__(self):
        self.times = 0

    def __call__(self, scale, batch):
        self.times += 1
        return jax.tree.map(lambda x: scale * x, batch)


@pytest.fixture
def traced():
    return Traced()


def test_once_for_each_set_of_shapes(traced):
    program = Program(traced)
    for _ in range(2):
        for rows in (2, 3):
            for scale in (1.5, 2.0):
                out = program(jnp.float32(scale), {"x": jnp.full(rows, 3.0)})
                np.testing.assert_array_equal(out["x"], np.full(rows, 3 * scale))
    assert traced.times == 2


@pytest.mark.parametrize(
    "other",
    [{"x": jnp.ones(2, int)}, {"y": jnp.ones(2)}, [jnp.ones(2)], {"x": jnp.ones((2, 1))}],
)
def test_another_type_or_structure_is_another_program(traced, other):
    program = Program(traced)
    program(jnp.float32(2), {"x": jnp.ones(2)})
    got = program(jnp.float32(2), other)
    assert traced.times == 2
    jax.tree.map(lambda x: np.testing.assert_array_equal(x, 2 * jnp.ones_like(x)), got)


def test_a_number_of_numpy_or_of_weak_type_does_not_compile_again(traced):
    program = Program(traced)
    for scale in (jnp.float32(2), np.float32(3), jnp.asarray(4.0)):
        assert program(scale, np.ones(2, np.float32)).tolist() == [scale] * 2
    assert traced.times == 1


def test_seconds_are_those_of_compiling(traced):
    program = Program(traced)
    assert program.seconds == 0
    program(jnp.float32(2), jnp.ones(2))
    first = program.seconds
    assert 0 < first < 60
    for _ in range(5):
        program(jnp.float32(2), jnp.ones(2))
    assert program.seconds == first
    program(jnp.float32(2), jnp.ones(3))
    assert program.seconds > first


def test_compiled_ahead_and_called_directly(traced):
    """What a stopwatch calls is the compiled function itself."""
    program = Program(traced)
    arguments = jnp.float32(2), jnp.ones(2)
    compiled = program.at(*arguments)
    assert program.seconds > 0
    assert compiled is program.at(*arguments)
    np.testing.assert_array_equal(compiled(*arguments), [2, 2])
    assert traced.times == 1


def test_a_donated_argument_is_given_away():
    program = Program(lambda state, x: state + x, donate=(0,))
    state, x = jnp.ones(2), jnp.ones(2)
    state = program(program(state, x), x)
    np.testing.assert_array_equal(state, [3, 3])
    assert not x.is_deleted()
    old, state = state, program(state, x)
    assert old.is_deleted()
