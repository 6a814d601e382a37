"""Text files that list files of a data set, one a line, such as those of published splits."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from specjax.cli.errors import UserError
from specjax.data.audio import SUFFIXES
from specjax.data.readers import PICTURE_SUFFIXES, check_regular_file

_MAX_BYTES = 2**24


def read_lines(path: Path, content: str) -> list[str]:
    """Read the lines of a text file of at most 16 MiB, without the spaces around them. Lines may be empty.

    Args:
      path: file to read.
      content: what it should contain, for error messages, such as `a list of tracks, one a line`.

    Raises:
      UserError: the file is not a readable text file, or too large.
    """
    check_regular_file(path)
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, expected {content}")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file, expected {content} ({error})") from error


def find_files(entries: Sequence[str], names: Sequence[str], where: Path, kind: str) -> list[int | None]:
    """Find the files that the lines of a list name, as indices into `names`.

    An entry is the name of a file, with or without its suffix, and possibly with the folders above it. Only suffixes of
    sounds and pictures count as such, and dots do not: `blues.00003.wav`, `blues.00003` and `blues00003.png` are the
    same file.

    Args:
      entries: lines of the list. Empty ones are found nowhere: the result has None in their place.
      names: path of each file, such as `blues/blues.00003.wav`.
      where: path of the list, for error messages.
      kind: what the files are, a plural, for error messages.

    Raises:
      UserError: an entry fits no file, or several.
    """
    numbers = defaultdict(list)
    for i, name in enumerate(names):
        levels = _normalize(name).split("/")
        for depth in range(len(levels)):
            numbers["/".join(levels[depth:])].append(i)
    result: list[int | None] = []
    for line_number, entry in enumerate(entries, 1):
        found = numbers.get(_normalize(entry), []) if entry else [None]
        if len(found) != 1:
            problem = "which is not in the data" if not found else f"which {len(found)} {kind} are called"
            remedy = "remove the line, or get the file" if not found else "write FOLDER/NAME"
            raise UserError(f"{where}, line {line_number} names {entry!r}, {problem}: {remedy}")
        result.append(found[0])
    return result


def _normalize(name: str) -> str:
    """Return the name of a file without its suffix and without dots."""
    path = PurePosixPath(name)
    return str(path.with_suffix("") if path.suffix.lower() in (*SUFFIXES, *PICTURE_SUFFIXES) else path).replace(".", "")
