"""What a person sees of long work."""

from ee_jax.display import Display


def test_brackets_are_part_of_a_line(capsys):
    Display().say("pip install '.[quickstart]'")
    assert capsys.readouterr().err == "pip install '.[quickstart]'\n"
