"""What lies with a language model beside its weights, in forms that need no other library."""

import json

import pytest

from ee_jax.errors import UserError
from ee_jax.models.export import export_model, with_exits
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import (
    CHAT_TEMPLATE,
    HuggingFaceFolder,
    Llama2cFile,
    find_language,
)
from tests.models.folders import copy_golden, copy_golden_with
from tests.models.golden_models import golden_backbone, read_sourced
from tests.models.test_llama2c import write_llama2c

TOKENIZER_CONFIG = "tokenizer_config.json"


@pytest.fixture
def folder(tmp_path):
    return copy_golden("llama", tmp_path)


def test_a_folder_of_safetensors_goes_before_others_in_it(folder):
    (folder / "model.gguf").write_bytes(b"GGUF")
    assert isinstance(find_language(str(folder)), HuggingFaceFolder)


def test_a_chat_template_stands_alone_or_in_the_tokenizers_config(folder):
    def template():
        return find_language(str(folder)).chat_template

    assert template() is None
    for content, wanted in [({"chat_template": "{{ x }}"}, "{{ x }}"), ({}, None)]:
        (folder / TOKENIZER_CONFIG).write_text(json.dumps(content))
        assert template() == wanted
    (folder / CHAT_TEMPLATE).write_text("{{ y }}")
    assert template() == "{{ y }}"


@pytest.mark.parametrize("content", ["{", "[]", "{" * 100_000])
def test_a_broken_config_of_a_tokenizer_is_one_line(folder, content):
    (folder / TOKENIZER_CONFIG).write_text(content)
    with pytest.raises(UserError, match=r"the chat template in .* cannot be read") as error:
        _ = find_language(str(folder)).chat_template
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "config", "generation", "opening"),
    [
        ("t5", {}, {}, [0]),
        ("bart", {}, {}, [2]),
        ("bart", {"forced_bos_token_id": 0}, {}, [2, 0]),
        ("bart", {"decoder_start_token_id": None}, {"decoder_start_token_id": 3}, [3]),
        ("mbart", {}, {"forced_bos_token_id": 7, "decoder_start_token_id": 5}, [5, 7]),
        ("marian", {}, {"forced_bos_token_id": None}, [63]),
    ],
)
def test_the_tokens_that_open_a_text_are_kept(tmp_path, name, config, generation, opening):
    folder = copy_golden_with(name, tmp_path, **config)
    (folder / "generation_config.json").write_text(json.dumps(generation))
    assert find_language(str(folder)).opening(64) == opening
    out = tmp_path / "out"
    model = with_exits(*read_sourced(folder), LanguageDesign((2, 4)))
    export_model(model, out, ends=[2], opening=opening)
    assert find_language(str(out)).opening(64) == opening
    assert find_language(str(out)).ends() == [2]


@pytest.mark.parametrize(
    ("generation", "said"),
    [
        ({"decoder_start_token_id": None}, r"config\.json has no `decoder_start_token_id`"),
        ({"decoder_start_token_id": 64}, "begin with token 64, but it embeds 64"),
        ({"forced_bos_token_id": "de"}, r"forced_bos_token_id is 'de', not a token's id or n"),
    ],
)
def test_an_opening_that_is_none(tmp_path, generation, said):
    folder = copy_golden("mbart", tmp_path)
    (folder / "generation_config.json").write_text(json.dumps(generation))
    with pytest.raises(UserError, match=said) as error:
        find_language(str(folder)).opening(64)
    assert "\n" not in str(error.value)


def test_the_files_of_a_folder_are_all_that_may_be_read(folder):
    (folder / CHAT_TEMPLATE).write_text("")
    (folder / "notes.md").write_text("")
    names = {path.name for path in find_language(str(folder)).files()}
    assert names == {"config.json", "model.safetensors", CHAT_TEMPLATE}


def test_the_files_of_llama2c(tmp_path):
    path = tmp_path / "stories.bin"
    path.write_bytes(write_llama2c(golden_backbone("llama")))
    for name in ("tokenizer.bin", "tok64.bin", "token.bin"):
        (tmp_path / name).write_bytes(b"")
    for name in (path, tmp_path):
        source = find_language(str(name))
        assert isinstance(source, Llama2cFile)
        assert source.files() == [path, tmp_path / "tok64.bin", tmp_path / "tokenizer.bin"]
        assert source.chat_template is None
        assert source.ends() == []
        assert source.start(64) == 1
        assert source.opening(64) == [1]
