"""Sound files that end too early. Sound libraries read such a file as a shorter one, and say nothing."""

import struct
from pathlib import Path
from typing import BinaryIO

from specjax.errors import Refusal

# Programs that write to a pipe cannot know the size of what follows, and promise the most there could be.
UNKNOWN_SIZE = 0x7FFF_0000
_OGG_TAIL = 2**17


def check_whole(path: Path) -> None:
    """
    Raises:
      Refusal: the file ends before its own header says.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(28)
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            promised = _end_of_wav(file, size)
        elif head[:4] == b".snd" and len(head) >= 12:
            offset, length = struct.unpack(">II", head[4:12])
            promised = offset + length if length < UNKNOWN_SIZE else size
        elif head[:4] == b"OggS":
            file.seek(max(size - _OGG_TAIL, 0))
            tail = file.read()
            last = tail.rfind(b"OggS")
            ended = last >= 0 and tail[last + 5 : last + 6] and tail[last + 5] & 4
            promised = size if ended else size + 1
        else:
            promised = size
    if promised > size:
        raise Refusal(f"{path} is truncated: it ends after {size} bytes and before its sound does, fetch it again")


def _end_of_wav(file: BinaryIO, size: int) -> int:
    """Where the samples of a RIFF file end, by its chunks."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return position + 8 + length if length < UNKNOWN_SIZE else size
        position += 8 + length + length % 2
    return position
