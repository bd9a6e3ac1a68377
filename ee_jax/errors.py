"""The one error that a user can cause and mend."""


class UserError(Exception):
    """One line that says what is wrong, where, and how to mend it.

    The command line prints it without a traceback and exits with status 2.
    """
