"""Tables of named things, open to everyone's own: a config names what was registered."""

import difflib
from typing import Generic, TypeVar

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
        if not name.isidentifier():
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
    """Where a function or class is written, the same whenever its file is run again."""
    code = getattr(
        thing, "__code__", getattr(getattr(thing, "__init__", None), "__code__", None)
    )
    if code is None:  # plain data of functions, or built in
        parts = thing if isinstance(thing, tuple) else ()
        return tuple(map(_written_at, parts)) or id(thing)
    return code.co_filename, code.co_firstlineno, getattr(thing, "__qualname__", "")
