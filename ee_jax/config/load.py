"""From a config file and the command line's overrides to an experiment."""

import contextlib
import dataclasses
import difflib
import io
import re
import runpy
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import typeguard
import tyro

from ee_jax.config import parts
from ee_jax.config.experiment import Experiment
from ee_jax.errors import UserError


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Runs the file's `get_config()`, checks every field, and applies `--field value` pairs."""
    return override(read(path), overrides)


def read(path: Path) -> Experiment:
    """The experiment that a config file's `get_config()` returns."""
    if not path.is_file():
        raise UserError(
            f"no config at {path}: give a Python file such as configs/quickstart.py"
        )
    try:
        experiment = runpy.run_path(str(path))["get_config"]()
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except KeyError:
        raise UserError(f"{path} has no get_config(): it must return an Experiment") from None
    except TypeError as error:
        raise UserError(f"{_where(error, path)}: {_unknown_field(error)}") from None
    except Exception as error:
        raise UserError(f"{_where(error, path)}: {type(error).__name__}: {error}") from None
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"{path}: get_config() must return an Experiment, not {experiment!r:.60}"
        )
    check_types(experiment, str(path))
    return experiment


def _where(error: Exception, path: Path) -> str:
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
    ]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _unknown_field(error: TypeError) -> str:
    """The nearest valid field, where a dataclass was given one that it does not have."""
    pattern = r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
    found = re.match(pattern, str(error))
    if not found:
        return str(error)
    kind, given = found.groups()
    cls = Experiment if kind == "Experiment" else getattr(parts, kind)
    names = [field.name for field in dataclasses.fields(cls)]
    return f"{kind} has no field `{given}`; {_nearest(given, names)}"


def _nearest(given: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"its fields are {', '.join(names)}"


def check_types(part: Any, where: str, path: str = "") -> None:
    """Raises for the first field, at any depth, whose value is not of its type."""
    hints = get_type_hints(type(part))
    for field in dataclasses.fields(part):
        name, value = f"{path}{field.name}", getattr(part, field.name)
        try:
            typeguard.check_type(value, hints[field.name])
        except typeguard.TypeCheckError:
            wanted = str(field.type).replace("typing.", "")
            raise UserError(
                f"{where}: config field `{name}` must be {wanted}, not {value!r:.60}"
            ) from None
        inner = value if isinstance(value, tuple) else (value,)
        for index, entry in enumerate(inner):
            if dataclasses.is_dataclass(entry):
                suffix = f".{index}." if isinstance(value, tuple) else "."
                check_types(entry, where, name + suffix)


def override(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    """The experiment with `--field value` pairs applied, e.g. `--exits.head mlp`."""
    if not overrides:
        return experiment
    if {"-h", "--help"} & set(overrides):
        _parse(experiment, ["--help"])
    try:
        with _no_box() as box:
            return _parse(experiment, overrides)
    except SystemExit:
        raise UserError(_one_line(box.getvalue())) from None


def _parse(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    return tyro.cli(
        Experiment,
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


def _one_line(box: str) -> str:
    """What tyro says in a box, as one line: the error, and the nearest valid field."""
    text = re.sub(r"[│|+╭╮╰╯]", " ", box)
    _, message, *more = [" ".join(part.split()) for part in re.split(r"[-─]{5,}", text)]
    near = re.search(r"Perhaps you meant: (--\S+)", " ".join(more))
    return f"{message}; did you mean {near[1]}?" if near else message
