"""The command `ee-jax`: parse and dispatch. Heavy imports wait until a command needs them."""

import sys
from collections.abc import Sequence

from ee_jax import __version__
from ee_jax.cli import bench, calibrate, compare, data, generate, predict, reproduce, run
from ee_jax.cli.parser import Parser
from ee_jax.errors import UserError

# In the order of `--help`.
COMMANDS = (run, predict, reproduce, compare, calibrate, generate, data, bench)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; exits 0 on success and 2, with one line, on a user's error."""
    stopped = "stopped"
    try:
        parser = _parser()
        known, rest = parser.parse_known_args(arguments)
        if rest and not known.takes_overrides:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        known.overrides = rest
        stopped += "; the same command goes on from here" if known.goes_on else ""
        known.command(known)
    except UserError as error:
        line = " ".join(str(error).splitlines())  # what it quotes may have several
        print(f"ee-jax: {line}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"ee-jax: {stopped}", file=sys.stderr)
        sys.exit(130)


def _parser() -> Parser:
    parser = Parser(
        prog="ee-jax",
        description="Early exit in transformers: train exits, choose thresholds, measure.",
    )
    parser.add_argument("--version", action="version", version=f"ee-jax {__version__}")
    parser.set_defaults(takes_overrides=False, goes_on=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser
