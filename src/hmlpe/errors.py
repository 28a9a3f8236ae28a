"""Errors that are the user's to mend: one line saying what is wrong, where, and what to do."""


def install(extra: str) -> str:
    """How an extra is installed at the tested versions, for a message."""
    return f"pip install -c constraints.txt -e '.[{extra}]' (in the checkout)"


class UserError(Exception):
    """Bad input. Its message is one line; the console scripts print it and exit with 2, without a traceback."""
