"""The command `ee-jax`: parse and dispatch. Heavy imports wait until a command needs them."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from ee_jax import __version__
from ee_jax.cli import (
    bench,
    calibrate,
    chat,
    check,
    compare,
    compile,
    data,
    devices,
    diagnose,
    generate,
    predict,
    reproduce,
    run,
    serve,
)
from ee_jax.cli.parser import Parser
from ee_jax.compile_cache import use_compile_cache
from ee_jax.errors import UserError
from ee_jax.huge_pages import ask_for_huge_pages

# In the order of `--help`.
COMMANDS = (
    run,
    compile,
    predict,
    reproduce,
    compare,
    check,
    calibrate,
    diagnose,
    generate,
    chat,
    serve,
    data,
    bench,
    devices,
)


def command() -> None:
    """What `ee-jax` starts: `main` in a process that has asked for huge pages."""
    ask_for_huge_pages()
    main()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; exits 0 on success and 2, with one line, on a user's error."""
    stopped = "stopped"
    handlers = {number: signal.signal(number, _interrupt) for number in INTERRUPTS}
    try:
        parser = _parser()
        known, rest = parser.parse_known_args(arguments)
        if rest and not known.takes_overrides:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        known.overrides = rest
        if known.keeps_programs:
            use_compile_cache()
        stopped += "; the same command goes on from here" if known.goes_on else ""
        known.command(known)
        sys.stdout.flush()  # here, where an error can still be told
    except UserError as error:
        _leave(2, str(error))
    except KeyboardInterrupt:
        _leave(130, stopped)
    except BrokenPipeError:  # whoever read has seen enough
        _drop_output()
        sys.exit(141)
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        _drop_output()
        _leave(2, f"{error.filename or 'the output'}: {OF_THE_MACHINE[error.errno]}")
    except (RuntimeError, AssertionError):
        if not _lacks_platform():
            raise
        asked = os.environ["JAX_PLATFORMS"]
        _leave(2, f"JAX_PLATFORMS is {asked}, of which JAX finds no device: {INSTEAD}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


INTERRUPTS = (signal.SIGINT, signal.SIGALRM)  # Ctrl-C, and its repetition


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Ctrl-C: ends an import at once, which cannot be left halfway; else raises.

    What is raised in a callback of the garbage collector, such as JAX's, is lost: then it is
    raised again a second later.
    """
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            os.write(2, b"ee-jax: stopped\n")
            os._exit(130)
        frame = frame.f_back
    signal.setitimer(signal.ITIMER_REAL, 1)
    raise KeyboardInterrupt


# What a machine can refuse at any moment, whatever a command checked before.
OF_THE_MACHINE = {
    errno.ENOSPC: "the disk is full: make room, and give the same command again",
    errno.EDQUOT: "your quota is used up: make room, and give the same command again",
    errno.EACCES: "permission denied: change its rights, or give another path",
    errno.EPERM: "not permitted: change its rights, or give another path",
    errno.EROFS: "the file system can only be read: give another path",
    errno.ENOTDIR: "a part of that path is a file: give another path",
    errno.EISDIR: "that is a folder: give the path of a file",
    errno.ENAMETOOLONG: "the name is too long: give a shorter one",
    errno.EFBIG: "the file would be too large for its disk: give another path",
    errno.EIO: "the disk cannot be read or written: check it, or copy the file again",
}


INSTEAD = "install what it needs, or leave the variable out and see `ee-jax devices`"


def _lacks_platform() -> bool:
    """Whether JAX cannot start the platforms that the environment names."""
    if not os.environ.get("JAX_PLATFORMS"):
        return False
    import jax

    try:
        return not jax.devices()
    except (RuntimeError, AssertionError):
        return True


def _leave(status: int, line: str) -> NoReturn:
    from ee_jax.display import plain

    print(f"ee-jax: {plain(line)}", file=sys.stderr)
    sys.exit(status)


def _drop_output() -> None:
    """Python would write what is left in its buffer, and fail again, as it ends."""
    with contextlib.suppress(OSError):  # not the process's own, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> Parser:
    parser = Parser(
        prog="ee-jax",
        description="Early exit in transformers: train exits, choose thresholds, measure.",
    )
    parser.add_argument("--version", action="version", version=f"ee-jax {__version__}")
    parser.set_defaults(takes_overrides=False, goes_on=False, keeps_programs=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser
