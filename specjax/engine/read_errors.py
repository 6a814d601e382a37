"""Why a checkpoint cannot be read: a lack of memory, files or permission is told apart from damage."""

import errno
import os

from etils import epath

_SHORTAGES = ("RESOURCE_EXHAUSTED", "can't start new thread")  # messages of TensorStore, XLA and Python


def find_obstacle(folder: epath.Path, error: BaseException) -> str | None:
    """Find out why a checkpoint that may be intact cannot be read, such as a lack of memory or permission.

    Args:
      folder: folder of the checkpoint.
      error: exception of the attempt to restore it.

    Returns:
      The reason; None if all files can be read, so that the checkpoint itself must be damaged.
    """
    if shortage := find_shortage(error):
        return shortage
    try:
        for parent, _, names in os.walk(folder, onerror=_raise):
            for name in names:
                with open(os.path.join(parent, name), "rb") as file:
                    while file.read(2**20):
                        pass
    except FileNotFoundError:
        return None
    except OSError as obstacle:
        return f"{obstacle.filename or folder}: {obstacle.strerror}"
    return None


def find_shortage(error: BaseException) -> str | None:
    """Return the lack of memory, files or threads that led to an exception; None if none did."""
    for cause in list_causes(error):
        scarce = isinstance(cause, OSError) and cause.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
        if scarce or isinstance(cause, MemoryError) or any(text in str(cause) for text in _SHORTAGES):
            return summarize(cause)
    return None


def _raise(error: OSError) -> None:
    raise error


def list_causes(error: BaseException) -> list[BaseException]:
    """Return an exception and those that led to it, the first of which is the last in the list."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def summarize(error: BaseException) -> str:
    """Return the type and the first line of an error. A line longer than 240 characters loses its middle part."""
    line = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {line if len(line) <= 240 else f'{line[:80]} ... {line[-150:]}'}"
