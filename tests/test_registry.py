"""Names and what they stand for: found, unknown, taken."""

import pytest

from ee_jax.errors import UserError
from ee_jax.registry import Registry


def one() -> int:
    return 1


def two() -> int:
    return 2


def test_what_is_registered_is_found():
    things = Registry("thing", one=one)
    assert things.register("two", two) is two
    assert things["two"]() == 2
    assert list(things) == ["one", "two"]


def test_the_same_thing_may_be_registered_again_and_another_not():
    things = Registry("thing", one=one)
    things.register("one", one)
    with pytest.raises(UserError, match=r"there is a thing `one` already: .* another name"):
        things.register("one", two)
    assert things["one"] is one


@pytest.mark.parametrize("name", ["", "two words", "../up", "2nd"])
def test_a_name_is_a_word(name):
    with pytest.raises(UserError, match="a thing cannot be named"):
        Registry("thing").register(name, one)


def test_an_unknown_name_says_the_nearest_and_all():
    with pytest.raises(UserError) as error:
        Registry("thing", alpha=1, beta=2)["alhpa"]
    assert str(error.value) == "no thing 'alhpa': did you mean `alpha`? there are alpha, beta"
    with pytest.raises(UserError) as error:
        Registry("thing", alpha=1, beta=2)["zzzz"]
    assert str(error.value) == "no thing 'zzzz': there are alpha, beta"
