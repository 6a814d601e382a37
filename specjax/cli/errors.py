"""Exception for errors that the user can fix."""


class UserError(Exception):
    """Error that the user can fix, such as a missing file or a wrong option.

    The message says in one line what was found, what was expected and how to fix it.

    Attributes:
      exit_status: exit status of the command that raised it.
    """

    exit_status = 2


class DivergedError(UserError):
    """Error of a training whose updates were not finite again and again."""

    exit_status = 3
