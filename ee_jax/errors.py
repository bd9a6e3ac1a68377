"""The one error that a user can cause and mend."""

LONGEST = 800  # characters of a line; what it quotes may have any number


class UserError(Exception):
    """One line that says what is wrong, where, and how to mend it.

    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, line: str):
        """Makes one line of it, whatever it quotes; of a long one the middle is left out."""
        line = " ".join(line.splitlines())
        if len(line) > LONGEST:
            line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
        super().__init__(line)
