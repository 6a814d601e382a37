"""Exception for errors that the user can fix."""


class UserError(Exception):
    """Error that the user can fix, such as a missing file or a wrong option.

    The message says in one line what was found, what was expected and how to fix it.
    """
