"""The exception for errors that the user can mend."""


class UserError(Exception):
    """The command cannot do what the user asked.

    The message says in one line what was found, what was expected and how to mend it.
    """
