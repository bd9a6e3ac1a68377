"""A conversation as the text that its model was trained to go on from: the chat template.

Templates come with weights that may be anybody's, so Jinja renders them in its sandbox, where
they reach no attribute that leads out of it. Beyond Jinja they may use what transformers gives
them: `raise_exception`, `strftime_now`, `bos_token` and `eos_token`, `break` and `continue`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from ee_jax.data.bpe import start_token
from ee_jax.errors import UserError

Message = Mapping[str, str]  # its role (system, user or assistant) and its content


class ChatTemplate:
    """What makes a prompt of messages.

    Raises:
      UserError: the model has no template, or one that is no Jinja.
    """

    def __init__(
        self, name: str, template: str | None, tokenizer: Tokenizer, stops: Sequence[int]
    ):
        if template is None:
            raise UserError(
                f"{name} has no chat template: give a model that was trained to chat, or let "
                "it go on from a text with `ee-jax generate`"
            )
        self._name, self._tokenizer = name, tokenizer
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals |= {"raise_exception": _raise, "strftime_now": _now}
        environment.globals |= _special_tokens(tokenizer, stops)
        try:
            self._template = environment.from_string(template)
        except TemplateError as error:
            raise self._broken(error) from None

    def text(self, messages: Sequence[Message], answered: bool = False) -> str:
        """A conversation as text, up to where the model's answer begins.

        Args:
          messages: what was said.
          answered: whether the last of them is the model's, so that no answer begins.

        Raises:
          UserError: the template does not take such messages.
        """
        try:
            return self._template.render(messages=messages, add_generation_prompt=not answered)
        except Exception as error:  # whatever a template does wrong
            raise self._broken(error) from None

    def ids(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of `text`, up to where the model's answer begins."""
        # The template writes what a text begins with.
        return self._tokenizer.encode(self.text(messages), add_special_tokens=False).ids

    def _broken(self, error: Exception) -> UserError:
        said = " ".join(str(error).split()) or type(error).__name__
        return UserError(f"the chat template of {self._name} cannot be used: {said}")


def _raise(message: Any) -> NoReturn:
    raise TemplateError(str(message))


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _special_tokens(tokenizer: Tokenizer, stops: Sequence[int]) -> dict[str, str]:
    """What a text begins and ends with, as templates write it."""
    try:
        first = start_token(tokenizer)
    except UserError:
        first = None
    ends = [stop for stop in stops if stop != first] or stops
    names = {"bos_token": first, "eos_token": ends[0] if ends else None}
    return {
        name: (token is not None and tokenizer.id_to_token(token)) or ""
        for name, token in names.items()
    }
