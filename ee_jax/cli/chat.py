"""`ee-jax chat MODEL`: a conversation in the terminal, or turn by turn as JSON lines."""

import contextlib
import json
import signal
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from typing import Any

from ee_jax.cli.generate import add_exits, add_sampling, drafter, sampling_of
from ee_jax.cli.parser import add_command, add_precision, number, seed
from ee_jax.errors import UserError

COMMANDS = """/threshold X   a token stops where an exit is surer than X
/full          every token runs all blocks
/draft D       D blocks draft, or what was said (lookup), or both (auto); all blocks verify
/reset         forget what was said
/save FILE     the conversation as a page, FILE.html
/help          this
Ctrl-C stops an answer, Ctrl-D leaves."""


def add(commands: Any) -> None:
    """Adds the command."""
    text = "talk with a language model, each token from its own depth"
    command = add_command(commands, "chat", chat, text, epilog=COMMANDS.replace("\n", "; "))
    command.set_defaults(keeps_programs=True)
    source = "a folder, also a run's, a .gguf file, a package, or owner/name on the Hub"
    command.add_argument("model", metavar="MODEL", help=source)
    command.add_argument("--system", metavar="TEXT", help="the system prompt")
    command.add_argument(
        "--tokens", type=number, default=256, metavar="N", help="of an answer (default: 256)"
    )
    add_precision(command, default=None)
    command.add_argument("--seed", type=seed, default=0, help="of the sampling")
    answers = "a JSON line an answer; turns are the lines of standard input"
    command.add_argument("--json", action="store_true", help=answers)
    add_exits(command)
    chosen = 'the threshold that the run chose so, e.g. "ltt 2 %%"'
    command.add_argument("--calibrated", metavar="LABEL", help=chosen)
    add_sampling(command)


def chat(arguments: Namespace) -> None:
    """Answers turn after turn, until the input ends."""
    from ee_jax.display import Display

    talk, display = open_chat(arguments), Display()
    if not talk.model.trained and talk.request.reads_exits:
        display.say("no trained exits: every block answers by the final norm (logit lens)")
    if arguments.json:
        return _json_lines(talk)
    display.say(_greeting(talk))
    interrupt = _Interrupt()
    with interrupt.asked():
        for line in _lines(sys.stdin.isatty()):
            try:
                if line.startswith("/"):
                    display.say(obey(talk, line))
                elif line.strip():
                    _answer(talk, line, display, interrupt)
            except UserError as error:
                display.say(str(error))


def open_chat(arguments: Namespace) -> Any:
    """The conversation that the arguments ask for.

    Raises:
      UserError: the model cannot be had, or cannot do what is asked.
    """
    from ee_jax.runs.generation.chat import Chat
    from ee_jax.runs.generation.language_model import load_language
    from ee_jax.runs.generation.text_generation import Request

    sampling = sampling_of(arguments)
    asked: dict[str, Any] = {
        "confidence": arguments.confidence or "max_prob",
        "policy": arguments.policy or "propagate",
        "draft": arguments.draft,
        "sampling": sampling,
        "seed": arguments.seed,
        "precision": arguments.precision,
    }
    name, tokens = arguments.model, arguments.tokens
    request = Request(name, "", tokens, arguments.threshold, **asked)  # raises before reading
    model = load_language(name, arguments.precision)
    if arguments.calibrated is not None:
        if arguments.threshold is not None:
            raise UserError("--calibrated gives a threshold: leave out --threshold")
        chosen = (arguments.calibrated, request.confidence, request.policy)
        request = Request(name, "", tokens, model.threshold_of(*chosen), **asked)
    return Chat(model, request, arguments.system)


def obey(talk: Any, line: str) -> str:
    """Does what a line asks for that begins with a slash, and says what it did.

    Raises:
      UserError: there is no such command, or it cannot be done; nothing has changed.
    """
    name, _, rest = line[1:].strip().partition(" ")
    if name not in _OBEYED:
        raise UserError(f"no command /{name}: there are /{', /'.join(_OBEYED)}")
    return _OBEYED[name](talk, rest.strip())


def _threshold(talk: Any, given: str) -> str:
    try:
        threshold = float(given)
    except ValueError:
        raise UserError(f"/threshold {given}: give a number from 0 to 1, e.g. 0.9") from None
    if not 0 <= threshold <= 1:
        raise UserError(f"/threshold {given}: it is from 0 to 1 (never)")
    talk.decode_by(threshold=threshold, draft=None)
    return f"a token stops where an exit is surer than {threshold:g}"


def _full(talk: Any, given: str) -> str:
    talk.decode_by(threshold=None, draft=None)
    return f"every token runs all {talk.model.exits[-1]} blocks"


def _draft(talk: Any, given: str) -> str:
    try:
        draft = drafter(given)
    except ArgumentTypeError as error:
        raise UserError(f"/draft {given}: {error}") from None
    talk.decode_by(threshold=None, draft=draft)
    return _drafting(talk)


def _drafting(talk: Any) -> str:
    who = f"{talk.request.draft} blocks draft"
    if isinstance(talk.request.draft, str):
        who = "what was said before drafts"
        who += ", or an exit," if talk.request.draft == "auto" else ""
        who += " where that pays"
    return f"{who}, all {talk.model.exits[-1]} blocks verify"


def _reset(talk: Any, given: str) -> str:
    talk.reset()
    return "what was said is forgotten"


def _save(talk: Any, given: str) -> str:
    from ee_jax.atomic_io import expanded, write_text
    from ee_jax.report.conversation import page

    if not talk.turns:
        raise UserError("/save: nothing has been said yet")
    path = expanded(given)
    if not given or path.is_dir() or not path.parent.is_dir():
        raise UserError(f"/save {given}: give a file in a folder that is there, e.g. chat.html")
    write_text(path, page(talk.record()))
    return str(path)


def _help(talk: Any, given: str) -> str:
    return COMMANDS


_OBEYED: dict[str, Callable[[Any, str], str]] = {
    "threshold": _threshold,
    "full": _full,
    "draft": _draft,
    "reset": _reset,
    "save": _save,
    "help": _help,
}


def _greeting(talk: Any) -> str:
    blocks, request = talk.model.exits[-1], talk.request
    how = f"every token runs all {blocks} blocks; /threshold 0.9 lets sure ones stop early"
    if request.draft is not None:
        how = _drafting(talk)
    elif request.exits_early:
        how = f"a token stops where an exit is surer than {request.threshold:g}"
    return f"{talk.model.name}: {how}; /help says more, Ctrl-D leaves"


class _Interrupt:
    """Ctrl-C: an answer is to stop; while a line is typed, the line is dropped.

    Attributes:
      answering: whether an answer is being written.
      came: whether Ctrl-C has come since.
    """

    answering = came = False

    def __call__(self, number: int, frame: Any) -> None:
        self.came = True
        if not self.answering:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Takes the signal for as long as the block runs."""
        before = signal.signal(signal.SIGINT, self)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def during_answer(self) -> Iterator[None]:
        """Only notes the signal in the block, which looks."""
        self.answering, self.came = True, False
        try:
            yield
        finally:
            self.answering = False


def _answer(talk: Any, line: str, display: Any, interrupt: _Interrupt) -> None:
    """Streams the answer to a line, and says what it took."""
    from ee_jax.report.conversation import note
    from ee_jax.report.generated import write_heat

    write, said = write_heat(talk.model.exits), len(talk.turns)
    with interrupt.during_answer(), contextlib.closing(talk.say(line)) as answer:
        for tokens in answer:
            for token in tokens:
                write(token.text, token.depth)
            if interrupt.came:
                break
    print(flush=True)
    for turn in talk.turns[said:]:
        display.say(note(turn.record(), talk.model.exits[-1]))


def _lines(shown: bool) -> Iterator[str]:
    """What is said, a line a turn, until the input ends.

    Raises:
      UserError: the input is no UTF-8.
    """
    if shown:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # arrows, and what was said before
    while True:
        try:
            yield input("> " if shown else "")
        except EOFError:
            return print() if shown else None
        except UnicodeDecodeError:
            raise UserError("the input is not UTF-8: give it in that encoding") from None
        except KeyboardInterrupt:
            if not shown:
                raise
            print()  # a line that is not said


def _json_lines(talk: Any) -> None:
    """Answers each line of the input by a line."""
    for line in _lines(shown=False):
        if not line.strip():
            continue
        try:
            if line.startswith("/"):
                found = {"command": line, "said": obey(talk, line)}
            else:
                for _ in talk.say(line):
                    pass
                found = {"turn": len(talk.turns), **talk.turns[-1].record()}
        except UserError as error:
            found = {"user": line, "error": str(error)}
        print(json.dumps(found), flush=True)
