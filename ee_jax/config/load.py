"""From a config file and the command line's overrides to an experiment."""

import contextlib
import dataclasses
import difflib
import io
import re
import sys
import traceback
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro

from ee_jax import config
from ee_jax.checks import shown
from ee_jax.config.experiment import Experiment
from ee_jax.errors import UserError


def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Runs the file's `get_config()`, checks every field, and applies `--field value` pairs.

    Args:
      path: a Python file with a `get_config()`.
      overrides: such as `["--seed", "1", "--exits.head", "mlp"]`.

    Returns:
      The experiment.

    Raises:
      UserError: the file, a field or an override is wrong; says where, and the nearest name.
    """
    path = Path(path)
    return override(read(path), overrides)


def read(path: Path) -> Experiment:
    """The experiment that a config file's `get_config()` returns."""
    if not path.is_file():
        raise UserError(
            f"no config at {path}: give a Python file such as configs/quickstart.py"
        )
    try:
        found = run_file(path)
        if "get_config" not in found:
            raise UserError("no get_config(), which must return an Experiment")
        experiment = found["get_config"]()
    except Exception as error:
        raise UserError(f"{_where(error, path)}: {_what(error)}") from None
    if not isinstance(experiment, Experiment):
        given = " ".join(repr(experiment).split())
        raise UserError(f"{path}: get_config() must return an Experiment, not {given:.60}")
    return experiment


def run_file(path: Path) -> dict[str, Any]:
    """The names that a Python file defines.

    It is run as a module of its own, so that overrides find the fields of a user's own classes,
    whose source is read for their help.
    """
    module = types.ModuleType(f"_ee_jax_file_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module.__dict__


def _where(error: Exception, path: Path) -> str:
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
    ]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _what(error: Exception) -> str:
    """One line; the nearest valid field, where a part was given one that it does not have."""
    pattern = r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
    found = re.match(pattern, str(error))
    if found and (cls := vars(config).get(found[1])):
        names = [field.name for field in dataclasses.fields(cls)]
        return f"{found[1]} has no field `{found[2]}`; {_nearest(found[2], names)}"
    line = " ".join(str(error).split())
    return line if isinstance(error, UserError) else f"{type(error).__name__}: {line}"


def _nearest(given: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"its fields are {', '.join(names)}"


def override(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    """The experiment with `--field value` pairs applied, e.g. `--exits.head mlp`."""
    if not overrides:
        return experiment
    if {"-h", "--help"} & set(overrides):
        _parse(experiment, ["--help"])
    if theirs := [word for word in overrides if word.startswith("--tyro")]:
        raise UserError(f"Unrecognized options: {shown(theirs[0])}")  # a shell's completion
    try:
        with _no_box() as box:
            return _parse(experiment, overrides)
    except SystemExit:
        raise UserError(_one_line(box.getvalue())) from None


def _parse(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    return tyro.cli(
        type(experiment),
        prog="ee-jax run CONFIG",
        default=experiment,
        args=list(overrides),
        config=(tyro.conf.AvoidSubcommands,),
    )


@contextlib.contextmanager
def _no_box() -> Iterator[io.StringIO]:
    box = io.StringIO()
    with contextlib.redirect_stdout(box), contextlib.redirect_stderr(box):
        yield box


LONGEST = 300  # characters of what is said of a word of the command line


def _one_line(box: str) -> str:
    """What tyro says in a box, as one line: the error, and the nearest valid field."""
    text = re.sub(r"[│|+╭╮╰╯]", " ", box)
    parts = [" ".join(part.split()) for part in re.split(r"─{5,}|-{10,}", text)]
    message, *more = parts[1:] or parts
    option = r"--[\w.-]+"
    given = [*re.findall(option, message), "--help"]
    offered = [found for found in re.findall(option, " ".join(more)) if found not in given]
    near = difflib.get_close_matches(given[0], offered, n=1, cutoff=0)
    message = message if len(message) <= LONGEST else f"{message[:LONGEST]} ..."
    return f"{message}; did you mean {near[0]}?" if near else message
