"""What a request may say, and what it is told otherwise: one line that names the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.errors import UserError
from ee_jax.runs.generation.tokens import Token
from ee_jax.runs.serving.protocol import read_question, usage
from ee_jax.runs.serving.stops import StopStrings

HELLO = [{"role": "user", "content": "hello"}]


def test_what_is_left_out_is_the_servers_to_say():
    question = read_question({"messages": HELLO, "model": "any", "user": "me", "stop": None})
    assert question.messages == HELLO
    assert (question.tokens, question.threshold) == (None, None)
    assert (question.temperature, question.top_p, question.seed) == (0.0, 1.0, 0)
    assert not question.stream
    assert question.stop == ()
    assert read_question({"messages": HELLO, "stop": "x"}).stop == ("x",)


def test_what_is_said_is_read():
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    question = read_question(
        {
            "messages": [
                {"role": "developer", "content": "be"}, {"role": "user", "content": parts}
            ],
            "max_tokens": 3, "max_completion_tokens": 5, "threshold": 1, "temperature": 0.5,
            "top_p": 0.9, "seed": 7, "stream": True, "stream_options": {"include_usage": True},
            "n": 1, "stop": ["\n", "x"],
        }
    )  # fmt: skip
    assert question.stop == ("\n", "x")
    assert question.messages == [{"role": "system", "content": "be"}, *HELLO]
    assert (question.tokens, question.threshold, question.seed) == (5, 1.0, 7)
    assert (question.temperature, question.top_p) == (0.5, 0.9)
    assert (question.stream, question.counted) == (True, True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"draft": 2}, "draft: the server verifies no drafts; leave it out"),
        ({"n": 2}, "n: one answer a request"),
        ({"tools": []}, "tools: the server does not know this field"),
        ({"treshold": 0.9}, "treshold: the server does not know this field"),
        ({"stop": ["x", 1]}, "stop: give a string, or a list of up to 4"),
        ({"stop": ["x", ""]}, "stop: give a string, or a list of up to 4"),
        ({"stop": ["x"] * 5}, "stop: give a string, or a list of up to 4"),
        ({"stop": 7}, "stop: give a string, or a list of up to 4"),
        ({"stop": {"x": 1}}, "stop: give a string, or a list of up to 4"),
        ({"threshold": "0.9"}, "threshold: give a number, not '0.9'"),
        ({"threshold": True}, "threshold: give a number, not True"),
        ({"max_tokens": 1.5}, "max_tokens: give a whole number, not 1.5"),
        ({"stream": 1}, "stream: give true or false, not 1"),
        ({"stream_options": 1}, "stream_options: give an object, not 1"),
        ({"messages": None}, "messages: give a list of them"),
        ({"messages": []}, "messages: give a list of them"),
        ({"messages": ["hello"]}, "messages[0]: give an object whose role is one of"),
        ({"messages": [{"role": "cat", "content": "x"}]}, "messages[0]: give an object whose"),
        ({"messages": [*HELLO, {"role": "user"}]}, "messages[1]: give its content as text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0]: give its content as text",
        ),
    ],
)
def test_what_cannot_be_met_is_refused_by_its_name(more, message):
    with pytest.raises(UserError) as error:
        read_question({"messages": HELLO, **more})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = ["messages", "threshold", "n", "seed", "stream", "stream_options", "max_tokens", "role"]


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=5))
def test_any_object_is_a_question_or_one_line(body):
    try:
        read_question(body)
    except UserError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


def test_usage_counts_tokens_and_their_mean_depth():
    tokens = [Token(1, "a", "a", depth, 0.5) for depth in (1, 2, 6)]
    assert usage(4, tokens, 6) == {
        "prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7, "mean_depth": 3.0,
        "blocks": 6,
    }  # fmt: skip
    assert usage(4, [], 6)["mean_depth"] is None


FEW = st.text("ab", max_size=4)


@given(st.lists(FEW, max_size=8), st.lists(FEW, max_size=3))
def test_a_text_is_cut_at_its_first_stop_however_it_comes(pieces, stops):
    reader, said, whole = StopStrings(stops), "", "".join(pieces)
    for piece in pieces:
        said += reader.take(piece)
        assert whole.startswith(said), "nothing is said that is taken back"
    said += reader.rest()
    places = [whole.index(stop) for stop in stops if stop and stop in whole]
    assert said == (whole[: min(places)] if places else whole)
    assert reader.over == bool(places)


def test_what_can_be_no_stop_is_said_at_once():
    reader = StopStrings(["abc"])
    assert [reader.take(piece) for piece in ("xa", "b", "d", "ab", "c", "e")] == [
        "x", "", "abd", "", "", ""
    ]  # fmt: skip
    assert reader.over
