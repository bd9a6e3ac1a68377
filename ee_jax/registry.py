"""Tables of named things, open to everyone's own: a config names what was registered."""

import dataclasses
import difflib
from typing import Any, Generic, TypeVar

from ee_jax.errors import UserError

T = TypeVar("T")


class Registry(dict[str, T], Generic[T]):
    """The things of one kind by their names.

    What a user registers, in a file that the config imports, is found like what the package
    itself registers:

        CONFIDENCES.register("top_logit", lambda exits, tolerance: memoryless(top_logit))
    """

    def __init__(self, kind: str, **things: T):
        """The table of a `kind`, a word for messages, with what is there from the start."""
        super().__init__(things)
        self.kind = kind

    def register(self, name: str, thing: T) -> T:
        """Adds a thing, and returns it.

        Args:
          name: what configs and the command line call it; letters, digits and underscores.
          thing: what the name stands for; called or read as those of the package are.

        Returns:
          The thing.

        Raises:
          UserError: the name is taken by another thing, or is no name. The same lines of the
            same file may register again, as they do when a config is loaded twice.
        """
        if not name.replace("-", "_").isidentifier():
            raise UserError(f"a {self.kind} cannot be named {name!r}: use letters and digits")
        if name in self and _written_at(self[name]) != _written_at(thing):
            raise UserError(f"there is a {self.kind} `{name}` already: register another name")
        self[name] = thing
        return thing

    def __missing__(self, name: str) -> T:
        raise UserError(self.unknown(name))

    def unknown(self, name: object) -> str:
        """What to tell a user who gave a name that is not here: the nearest one, and all."""
        near = difflib.get_close_matches(str(name), self, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`? " if near else ""
        return f"no {self.kind} {name!r}: {hint}there are {', '.join(self)}"


def _written_at(thing: object) -> object:
    """Where functions and classes are written, the same whenever their file is run again."""
    if isinstance(thing, tuple):
        return tuple(map(_written_at, thing))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return tuple(_written_at(getattr(thing, f.name)) for f in dataclasses.fields(thing))
    parts = vars(thing).values() if isinstance(thing, type) else [thing]
    codes: list[Any] = [code for part in parts if (code := getattr(part, "__code__", None))]
    if not codes:
        return thing if isinstance(thing, str | int | float | None) else id(thing)
    return codes[0].co_filename, codes[0].co_firstlineno, getattr(thing, "__qualname__", "")
