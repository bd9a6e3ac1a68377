"""`ee-jax serve MODEL`: a language model over OpenAI's protocol, on this machine."""

import signal
from argparse import Namespace
from typing import Any

from ee_jax.cli.parser import add_command, add_precision, number, real
from ee_jax.errors import UserError


def add(commands: Any) -> None:
    """Adds the command."""
    text = "a language model over OpenAI's chat completions, each token from its own depth"
    more = (
        "A request may say `threshold` beside OpenAI's fields. Requests share one batch, each "
        "at its own place and depth. SIGINT or SIGTERM ends the server after its answers."
    )
    command = add_command(commands, "serve", serve, text, epilog=more)
    command.set_defaults(keeps_programs=True)
    source = "a folder, also a run's, a .gguf file, a package, or owner/name on the Hub"
    command.add_argument("model", metavar="MODEL", help=source)
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine")
    command.add_argument("--port", type=number, default=8000, help="default: 8000")
    exits = command.add_argument_group("early exits")
    above = "of requests that say none; a token stops above it (default: never)"
    exits.add_argument("--threshold", type=real, metavar="T", help=above)
    compared = "compared with it, e.g. learned (default: max_prob)"
    exits.add_argument("--confidence", metavar="NAME", default="max_prob", help=compared)
    policy = "for skipped blocks: propagate (default), copy or recompute"
    exits.add_argument("--policy", metavar="NAME", default="propagate", help=policy)
    limits = command.add_argument_group("limits")
    for name, default, what in (
        ("rows", 8, "requests that are decoded at the same time"),
        ("queue", 64, "requests that may wait"),
        ("tokens", 256, "of an answer that does not say how many"),
        ("seconds", 600, "until an answer must be whole"),
    ):
        text = f"{what} (default: {default})"
        limits.add_argument(f"--{name}", type=number, default=default, metavar="N", help=text)
    add_precision(command, default=None)


def serve(arguments: Namespace) -> None:
    """Serves until it is told to stop."""
    try:
        import uvicorn

        from ee_jax.runs.serving.server import Limits, Service, make_app
    except ImportError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in ("starlette", "uvicorn"):
            raise
        raise UserError(f"ee-jax serve needs {missing}: pip install 'ee_jax[serve]'") from None
    from ee_jax.display import Display
    from ee_jax.runs.generation.language_model import load_language
    from ee_jax.runs.generation.text_generation import Request

    if arguments.port >= 2**16:
        raise UserError(f"--port {arguments.port}: it is below 65536")
    request = Request(
        arguments.model,
        "",
        arguments.tokens,
        arguments.threshold,
        arguments.confidence,
        arguments.policy,
        precision=arguments.precision,
    )
    display = Display()
    model = load_language(arguments.model, arguments.precision)
    names = ("rows", "queue", "tokens", "seconds")
    limits = Limits(**{name: getattr(arguments, name) for name in names})
    service = Service(model, request, limits)
    display.say(f"compiling for {limits.rows} rows")
    service.warm_up()
    address = f"http://{arguments.host}:{arguments.port}/v1"
    config = uvicorn.Config(
        make_app(service),
        host=arguments.host,
        port=arguments.port,
        log_level="error",
        timeout_graceful_shutdown=30,
    )
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)  # uvicorn takes them, and raises them again after
    display.say(f"{arguments.model} at {address}")
    uvicorn.Server(config).run()
