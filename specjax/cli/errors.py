"""The one error that a user is meant to read."""


class UserError(Exception):
    """What was asked cannot be done: the message says what was found, what was expected and how to mend it."""
