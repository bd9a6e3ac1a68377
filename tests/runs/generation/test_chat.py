"""A conversation: what the template makes of it, what it costs to go on, what is said of it."""

import contextlib

import pytest

import ee_jax
from ee_jax.cli.chat import obey
from ee_jax.data.chat_template import ChatTemplate
from ee_jax.errors import UserError
from ee_jax.report.conversation import note, page
from ee_jax.results import Calibrated
from ee_jax.runs.generation.chat import Chat, promise
from ee_jax.runs.generation.text_generation import Request

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role[0] }} {{ m.content }}\n{% endfor %}a"
)


@pytest.fixture(scope="module")
def model(exported):
    model = ee_jax.load(exported)
    model.chat_template = TEMPLATE
    return model


def talk(model, system=None, tokens=5, **asked):
    return Chat(model, Request(model.name, "", tokens, **asked), system)


def say(chat, text):
    for _ in chat.say(text):
        pass
    return chat.turns[-1]


@pytest.mark.parametrize("asked", [{}, {"draft": 1}, {"draft": "lookup"}, {"draft": "auto"}])
def test_a_turn_is_what_the_model_writes_after_the_rendered_text(model, asked):
    chat = talk(model, system="be", **asked)
    first = say(chat, "cat")
    assert first.text == model.generate("s be\nu cat\na", tokens=5)
    second = say(chat, "hat")
    assert second.text == model.generate(f"s be\nu cat\na {first.text}\nu hat\na", tokens=5)
    assert second.read_tokens < second.prompt_tokens
    assert first.finish == "length"
    assert first.promise == "the full model's own tokens"


def test_depth_and_work_are_counted(model):
    turn = say(talk(model, tokens=9, threshold=0.3), "cat")
    alone = model.generate("u cat\na", threshold=0.3, tokens=9)
    assert turn.text.depths == alone.depths
    assert turn.flops is not None
    assert 1 / 3 < turn.flops < 1.5
    assert say(talk(model), "cat").flops == 1
    assert turn.promise == "no agreement is promised"
    assert turn.record()["mean_depth"] == alone.mean_depth


def test_an_answer_that_is_stopped_stays(model):
    chat = talk(model, tokens=12)
    with contextlib.closing(chat.say("cat")) as answer:
        next(answer)
    (turn,) = chat.turns
    assert (turn.finish, len(turn.tokens)) == ("stopped", 1)
    assert len(say(chat, "hat").tokens) == 12


def test_a_full_context_is_one_line_and_nothing_is_lost(model):
    chat = talk(model)
    say(chat, "cat")
    with pytest.raises(UserError, match="context of 48 tokens is full: /reset begins anew"):
        say(chat, "zxq " * 20)
    assert [turn.user for turn in chat.turns] == ["cat"]
    assert say(chat, "a").user == "a"


def test_commands_change_how_the_next_answer_is_decoded(model, tmp_path):
    chat = talk(model)
    with pytest.raises(UserError, match="/save: nothing has been said yet"):
        obey(chat, "/save x.html")
    say(chat, "cat")
    assert obey(chat, "/threshold 0.3") == "a token stops where an exit is surer than 0.3"
    assert chat.request.threshold == 0.3
    assert "1 blocks draft" in obey(chat, "/draft 1")
    assert (chat.request.threshold, chat.request.draft) == (None, 1)
    say(chat, "hat")
    assert "what was said before drafts where that pays" in obey(chat, "/draft lookup")
    obey(chat, "/full")
    assert not chat.request.reads_exits
    file = tmp_path / "chat.html"
    assert obey(chat, f"/save {file}") == str(file)
    assert "2 answers of 10 tokens, 3.00 of 3 blocks a token." in file.read_text()
    obey(chat, "/reset")
    assert chat.turns == []
    assert "/threshold X" in obey(chat, "/help")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/nosuch", "no command /nosuch: there are /threshold, /full"),
        ("/threshold", "/threshold : give a number from 0 to 1"),
        ("/threshold 2", "/threshold 2: it is from 0 to 1"),
        ("/threshold nan", "/threshold nan: it is from 0 to 1"),
        ("/draft 3", "the exit after all 3 blocks cannot draft"),
        ("/draft x", "/draft x: 'x' is no whole number above 0, and not lookup or auto"),
        ("/save /nowhere/x.html", "/save /nowhere/x.html: give a file in a folder"),
    ],
)
def test_a_command_that_cannot_be_obeyed_is_one_line(model, line, message):
    chat = talk(model)
    say(chat, "cat")
    with pytest.raises(UserError) as error:
        obey(chat, line)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert chat.request == talk(model).request


def test_only_the_chosen_threshold_is_promised_anything(model, monkeypatch):
    choice = Calibrated(
        label="ltt 2 %", kind="ltt", amount="2", unit="%", method="ltt", risk="consistency",
        level=0.02, delta=0.1, promise="risk at most 2 %", threshold=0.7, threshold_E=None,
        full_model=False, certified_risk=0.02, calibration_risk=0.01,
        calibration_mean_depth=2.0, examples=9, ended="found", warning="",
        confidence="max_prob", policy="propagate",
    )  # fmt: skip
    monkeypatch.setattr(model, "calibrated", (choice,))
    asked = Request("", "", 1, 0.7)
    assert promise(model, asked) == "98 % agreement on given text (ltt 2 %)"
    for other in (Request("", "", 1, 0.6), Request("", "", 1, 0.7, "margin")):
        assert promise(model, other) == "no agreement is promised"


def test_the_page_says_what_was_said_and_is_safe(model):
    chat = talk(model, threshold=0.3, system="<i>be</i>")
    say(chat, "<b>cat</b>")
    text = page(chat.record())
    assert "&lt;b&gt;cat&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "&lt;i&gt;be" in text
    assert note(chat.turns[0].record(), 3) in text.replace("&#39;", "'")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "{} has no chat template: give a model that was trained to chat"),
        ("{% for", "the chat template of {} cannot be used: "),
        (
            "{{ raise_exception('no such\nturn') }}",
            "the chat template of {} cannot be used: no",
        ),
        ("{{ messages.__class__.__mro__ }}", "the chat template of {} cannot be used: "),
        ("{{ messages[0].nosuch.more }}", "the chat template of {} cannot be used: "),
    ],
)
def test_a_template_that_is_none_is_one_line(model, template, message):
    with pytest.raises(UserError) as error:
        ChatTemplate("it", template, model.tokenizer, model.stops).ids(
            [{"role": "user", "content": "cat"}]
        )
    assert str(error.value).startswith(message.format("it"))
    assert "\n" not in str(error.value)
