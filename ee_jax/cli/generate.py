"""`ee-jax generate --model PATH_OR_NAME --prompt TEXT --tokens N`."""

import json
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import Parser, add_command, add_precision, check_page, number, real, seed
from ee_jax.errors import UserError

DRAFTERS = ("lookup", "auto")


def add(commands: Any) -> None:
    """Adds the command."""
    text = "text from a language model, each token from its own depth, and what that gains"
    command = add_command(commands, "generate", generate, text)
    command.set_defaults(keeps_programs=True)
    source = "a folder, a .gguf or llama2.c file, a package, or owner/name on the Hub"
    command.add_argument("--model", required=True, metavar="PATH_OR_NAME", help=source)
    command.add_argument("--prompt", required=True, metavar="TEXT", help="to go on from")
    command.add_argument(
        "--tokens", type=number, default=64, metavar="N", help="at most (default: 64)"
    )
    add_precision(command, default=None)
    command.add_argument("--seed", type=seed, default=0, help="of the sampling")
    command.add_argument("--page", metavar="FILE.html", help="write the text as a heat map")
    command.add_argument("--repeats", type=number, default=5, help="timed calls (default: 5)")
    command.add_argument("--json", action="store_true", help="print tokens and speed")
    add_exits(command)
    add_sampling(command)


def add_exits(command: Parser) -> None:
    """Adds what says where tokens stop, and who drafts."""
    exits = command.add_argument_group("early exits")
    exits.add_argument(
        "--threshold", type=real, metavar="T", help="a token stops above it (default: never)"
    )
    confidence = "compared with it, e.g. learned (default: max_prob)"
    exits.add_argument("--confidence", metavar="NAME", help=confidence)
    policy = "for skipped blocks: propagate (default), copy or recompute"
    exits.add_argument("--policy", metavar="NAME", help=policy)
    exits.add_argument(
        "--draft",
        type=drafter,
        metavar="DEPTH|lookup|auto",
        help="speculation: so many blocks draft, and with --threshold only surer tokens; "
        "lookup: what came before, where that pays; auto: that, blocks or nothing",
    )


def drafter(text: str) -> int | str:
    """Blocks, or one of DRAFTERS by its name."""
    if text in DRAFTERS:
        return text
    try:
        return number(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, and not {' or '.join(DRAFTERS)}") from None


def add_sampling(command: Parser) -> None:
    """Adds how tokens are drawn."""
    sampling = command.add_argument_group("sampling")
    sampling.add_argument("--greedy", action="store_true", help="the likeliest token (default)")
    sampling.add_argument("--temperature", type=real, metavar="X")
    sampling.add_argument("--top-k", type=number, metavar="K", help="of the K likeliest")
    sampling.add_argument("--top-p", type=real, metavar="P", help="of the likeliest P of 1")


def generate(arguments: Namespace) -> None:
    """Writes text to a terminal in colour, elsewhere plain, or as one JSON object."""
    from ee_jax.display import Display, print_result
    from ee_jax.report.generated import summary, write_heat
    from ee_jax.runs.generation.text_generation import TextGeneration

    request, display = _request(arguments), Display()
    story = TextGeneration(request, display)
    coloured = sys.stdout.isatty() and not arguments.json
    if not arguments.json:
        _stream(story, write_heat(story.layers) if coloured else _plain)
    if not (coloured or arguments.json or arguments.page):
        return
    if request.draft is None and not request.exits_early:
        display.say("every token runs all blocks: give a --threshold below 1, or --draft")
    record = story.record(arguments.repeats)
    if arguments.json:
        print(json.dumps(record))
    if coloured:
        print_result(summary(record))
    if arguments.page:
        from ee_jax.atomic_io import write_text
        from ee_jax.report.generated import page

        write_text(Path(arguments.page), page(record))
        display.say(arguments.page)


def _stream(story: Any, write: Callable[[str, int | None], None]) -> None:
    """The prompt and the text, as it comes; nothing before it is known that some comes."""
    for count, tokens in enumerate(story.tokens()):
        if count == 0:
            write(story.request.prompt, None)
        for token in tokens:
            write(token.text, token.depth)
    print()


def _plain(text: str, depth: int | None) -> None:
    from ee_jax.display import plain

    print(plain(text, "\n\t"), end="", flush=True)


def _request(arguments: Namespace) -> Any:
    from ee_jax.runs.generation.text_generation import Request

    check_exits(arguments)
    check_page(arguments.page)
    return Request(
        model=arguments.model,
        prompt=arguments.prompt,
        tokens=arguments.tokens,
        threshold=arguments.threshold,
        confidence=arguments.confidence or "max_prob",
        policy=arguments.policy or "propagate",
        draft=arguments.draft,
        sampling=sampling_of(arguments),
        seed=arguments.seed,
        precision=arguments.precision,
    )


def check_exits(arguments: Namespace) -> None:
    """Raises the UserError of what is asked in vain."""
    if arguments.draft and arguments.policy:
        raise UserError("--draft skips no block in the end: leave out --policy")
    for name in ("confidence", "policy"):
        if getattr(arguments, name) and arguments.threshold is None:
            raise UserError(f"--{name} does nothing without --threshold: give one, e.g. 0.9")


def sampling_of(arguments: Namespace) -> Any:
    """How tokens are drawn, as the arguments say."""
    from ee_jax.inference.sampling import GREEDY, Sampling

    given = {name: getattr(arguments, name) for name in ("temperature", "top_k", "top_p")}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return GREEDY
    if arguments.greedy:
        raise UserError("--greedy takes the likeliest token: leave out the other sampling")
    return Sampling(**{"temperature": 1.0, **given})
