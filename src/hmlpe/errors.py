"""Errors that are the user's to mend: one line saying what is wrong, where, and what to do."""


class UserError(Exception):
    """Bad input. Its message is one line; the console scripts print it and exit with 2, without a traceback."""
