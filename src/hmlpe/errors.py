"""Errors that the user can fix. Their message is one line: what is wrong, where, and what to do."""


def install_command(extra: str) -> str:
    """Return the command that installs an optional extra at the tested versions, for a message."""
    return f"pip install -c constraints.txt -e '.[{extra}]' (in the checkout)"


class UserError(Exception):
    """Bad input. The message is one line; the console scripts print it and exit with 2, without a traceback."""
