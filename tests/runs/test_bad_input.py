"""What a user can get wrong: one line that says what, where and how to mend it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from ee_jax.config import Data, Exits, Frozen, Joint, Model, OptimizerConfig
from ee_jax.errors import UserError
from ee_jax.runs.run import run
from tests.runs.tiny_sentences import Sentences


def error_of(experiment, output: Path) -> str:
    with pytest.raises(UserError) as error:
        run(experiment, output)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": Model("/nowhere")}, "no weights in '/nowhere': it is neither a folder with"),
        ({"model": Model("nosuch_package")}, "no weights in 'nosuch_package'"),
        ({"exits": Exits(layers=(1, 3))},
         "config field `exits.layers` must end at the backbone's last block, 2, not at 3"),
        ({"exits": Exits(layers=(1,))}, "config field `exits.layers` must end at"),
        ({"strategies": (Joint(weights=(1.0, 2.0, 3.0)),)},
         "config field `strategies.weights` must hold 2 numbers"),
        ({"data": Data(lengths=(8, 99))},
         "config field `data.lengths` ends at 99, but "),
    ],
)  # fmt: skip
def test_a_config_that_cannot_work_leaves_no_trace(experiment, tmp_path, changes, message):
    output = tmp_path / "output"
    assert error_of(replace(experiment, **changes), output).startswith(message)
    assert not output.exists()


def test_what_a_regression_cannot_use_is_told_before_any_work(
    experiment, tmp_path, monkeypatch
):
    monkeypatch.setattr(Sentences, "LABEL_RANGE", (0.0, 5.0), raising=False)
    output = tmp_path / "output"
    message = "config field `exits.confidence` `max_prob` needs classes, and `sentences` has"
    assert error_of(experiment, output).startswith(message)
    assert not output.exists()


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def other_config(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 64}))


def other_family(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bloom"}')


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def other_tokenizer(folder: Path) -> None:
    Tokenizer(WordLevel({"word": 999})).save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_config, "{}/config.json is missing"),
        (other_config, "the weights in {} do not fit its config.json"),
        (
            other_family,
            "{}/config.json describes no model that is built here: no model family ",
        ),
        (cut_weights, "{}/model.safetensors cannot be read"),
        (no_weights, "{}/model.safetensors cannot be read"),
        (no_tokenizer, "no tokenizer.json in {}"),
        (other_tokenizer, "tokenizer.json in {} has ids up to 999, but the weights"),
    ],
)
def test_broken_weights_are_told_apart(experiment, weights, tmp_path, damage, message):
    folder = Path(shutil.copytree(weights, tmp_path / "weights"))
    damage(folder)
    broken = replace(experiment, model=Model(str(folder)))
    assert error_of(broken, tmp_path / "output").startswith(message.format(folder))


def test_a_data_set_with_a_wrong_row_count(experiment, data, tmp_path):
    root = Path(shutil.copytree(data, tmp_path / "data"))
    path = root / "sentences" / "1.0.0" / "rows.json"
    record = json.loads(path.read_text())
    record["splits"]["test"]["rows"] = 36
    path.write_text(json.dumps(record))
    changed = replace(experiment, data=replace(experiment.data, folder=str(root)))
    assert error_of(changed, tmp_path / "output") == (
        f"data set `sentences` in {path.parent}: split test has 35 rows, not 36: delete that "
        f"folder and run `EE_JAX_DATA={root} ee-jax data prepare sentences`"
    )


def test_an_unknown_data_set(experiment, tmp_path):
    changed = replace(experiment, data=replace(experiment.data, name="sentence"))
    assert error_of(changed, tmp_path).startswith("no data set `sentence`: did you mean `sent")


def test_nan_in_training_keeps_the_last_checkpoint(experiment, tmp_path):
    fit = OptimizerConfig(epochs=1.0, batch=16, head_learning_rate=1e30, warmup=0.4)
    broken = replace(experiment, strategies=(Frozen(fit=fit),), checkpoint_seconds=0.0)
    # Step 1 has a rate already, and the loss of step 2 is still a number.
    for _ in range(2):  # started again, it breaks at the same step
        message = error_of(broken, tmp_path)
        assert message.startswith("training broke in stage `heads` at step 3: loss nan")
        assert "the last checkpoint is kept: lower fit.learning_rate" in message
        found = {path.name for path in (tmp_path / "frozen/checkpoints").iterdir()}
        assert found == {"1", "2"}
        assert not (tmp_path / "frozen" / "model").exists()
