"""A folder that a command writes: where it is, whose it is, and who is writing in it now."""

import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ee_jax.atomic_io import expanded
from ee_jax.errors import UserError

HOLDER = ".holder.json"  # who is writing, for the error that another command gets


def resolve_output(path: str | Path) -> Path:
    """The folder that an output path means, `..`, `~` and links resolved.

    Raises:
      UserError: a part of the path is a file, or it cannot be looked at.
    """
    given = expanded(path)
    try:
        resolved = given.resolve()
        parents = [resolved, *resolved.parents]
        found = next(parent for parent in parents if _is_there(parent))
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a name too long
        raise UserError(f"{given} is no output folder ({error}): give another") from None
    if not found.is_dir():
        raise UserError(f"{given} is no output folder: {found} is a file; give another")
    if not os.access(found, os.W_OK | os.X_OK):
        raise UserError(f"{given} cannot be written, nor can {found}: give another folder")
    return resolved


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps the folder for one command at a time, until the block, or the process, ends.

    The lock is the kernel's, on the folder itself, so a dead process holds nothing.

    Raises:
      UserError: another command holds it; says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        holder = folder / HOLDER
        holder.unlink(missing_ok=True)  # of a dead process; or a link
        holder.write_text(json.dumps(_self()))
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise UserError(
            f"{folder} is being written by {_holder(folder)}: wait for it, or give another "
            "output folder"
        ) from None


def _self() -> dict[str, str | int]:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": since,
        "command": command,
    }


def _holder(folder: Path) -> str:
    try:
        found = json.loads((folder / HOLDER).read_text())
        return "`{command}`, process {pid} on {host}, since {since}".format(**found)
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
