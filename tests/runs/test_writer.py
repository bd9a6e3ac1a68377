"""What a model writes to learn from: from a start token, or in answer to questions."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.config import Model, SelfGenerated
from ee_jax.data.chat_prompts import FORMS, TOPICS, chat_prompts
from ee_jax.errors import UserError
from ee_jax.models.language_source import find_language
from ee_jax.tasks.language_modeling.writer import openings, writers
from ee_jax.tasks.token_exits import Weights

pytest.importorskip("gguf", reason="gguf is not installed: pip install 'ee_jax[gguf]'")

from tests.models.gguf_files import write_gguf


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    path = write_gguf(tmp_path_factory.mktemp("writer") / "tiny.gguf")
    return Model(str(path), dropout=0.0)


def weights_of(model: Model) -> Weights:
    return Weights(*find_language(model.weights).weights())


def asked(tmp_path, lines, **changes) -> SelfGenerated:
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(lines))
    given = {"length": 40, "batch": 3, "train": 5, "calibration": 2, "test": 2, **changes}
    return SelfGenerated(prompts=str(path), **given)


def test_every_question_of_the_package_is_in_one_split():
    found = chat_prompts("chat")
    counted = Counter(said for each in found.values() for said in each)
    assert len(counted) == len(FORMS) * len(TOPICS)
    assert {*counted.values()} == {1}
    assert [len(found[split]) for split in found] == [80 * 16, 10 * 16, 10 * 16]


@given(lines=st.lists(st.text(st.characters(codec="utf-8")), max_size=60))
def test_lines_of_a_file_are_shared_out_once(lines, tmp_path_factory):
    path = tmp_path_factory.mktemp("lines") / "prompts.txt"
    path.write_bytes("\n".join(lines).encode())
    text = path.read_text(encoding="utf-8")
    wanted = {line.strip() for line in text.splitlines() if line.strip()}
    if len(wanted) < 10:
        with pytest.raises(UserError, match="different prompts: it takes 10 at least"):
            chat_prompts(str(path))
        return
    found = chat_prompts(str(path))
    said = [line for each in found.values() for line in each]
    assert len(said) == len(wanted)
    assert {*said} == wanted
    assert all(found.values())


def test_rows_are_answers_to_each_question_in_turn(model, tmp_path):
    data = asked(tmp_path, [f"the cat {number}" for number in range(10)])
    weights = weights_of(model)
    begins = openings(data, model, weights.config.vocabulary)
    writer = writers(data, model, weights)["train"]
    rows = [*writer.rows(11, seed=4, tick=lambda: None)]
    assert len(rows) == 11
    assert {len(row) for row in rows} == {41}
    first = [
        next(i for i, ids in enumerate(begins["train"]) if row[: len(ids)].tolist() == ids)
        for row in rows
    ]
    assert sorted(first[:8]) == [*range(8)], "none twice before all were asked"
    assert first[8:] == first[:3]
    again = [*writer.rows(11, seed=4, tick=lambda: None)]
    np.testing.assert_array_equal(rows, again)
    other = [*writer.rows(11, seed=5, tick=lambda: None)]
    assert not np.array_equal(rows, other)
    pairs = zip(rows, first, strict=True)
    answers = np.array([row[len(begins["train"][i]) :][:20] for row, i in pairs])
    assert len(np.unique(answers, axis=0)) == 11, "a question asked twice is answered anew"


def test_without_questions_rows_go_on_from_the_start_token(model):
    data = SelfGenerated(train=4, length=8, batch=4)
    writer = writers(data, model, weights_of(model))["train"]
    rows = np.array([*writer.rows(4, seed=0, tick=lambda: None)])
    assert rows.shape == (4, 9)
    assert {*rows[:, 0].tolist()} == {find_language(model.weights).start(512)}


def test_a_temperature_near_zero_writes_what_is_likeliest(model):
    data = SelfGenerated(train=4, length=8, batch=4, temperature=1e-5)
    rows = [*writers(data, model, weights_of(model))["train"].rows(4, 0, lambda: None)]
    assert len(np.unique(rows, axis=0)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lines": ["one", "two"]}, "has 2 different prompts: it takes 10 at least"),
        ({"length": 6}, r"`data\.length` is 6 tokens, and a prompt .* takes"),
    ],
    ids=["few", "long"],
)
def test_prompts_that_cannot_be_asked_are_one_line(model, tmp_path, change, message):
    lines = change.pop("lines", [f"the cat {number}" for number in range(10)])
    with pytest.raises(UserError, match=message):
        openings(asked(tmp_path, lines, **change), model, 512)


def test_a_file_that_is_not_there_is_one_line(model):
    with pytest.raises(UserError, match=r"`data\.prompts` names nowhere\.txt, which cannot"):
        openings(SelfGenerated(prompts="nowhere.txt"), model, 512)


def test_a_model_that_cannot_chat_is_one_line(tmp_path):
    path = write_gguf(tmp_path / "plain.gguf", tokenizer__chat_template=...)
    data = asked(tmp_path, [f"the cat {number}" for number in range(10)])
    with pytest.raises(UserError, match="has no chat template"):
        openings(data, Model(str(path)), 512)
