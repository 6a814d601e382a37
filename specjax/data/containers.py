"""How far the parts of a sound file reach, by its own account: sound libraries read one that is cut short as a shorter
one, and say nothing.

A container is walked by the sizes it gives, without decoding, and known by its first bytes, not by its name.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from specjax.cli.errors import UserError

# Programs that write to a pipe cannot know the size of what follows, and promise the most there could be.
UNKNOWN_SIZE = 0x7FFF_0000
_MAX_CHUNKS = 10_000

_RATES = ((11025, 12000, 8000), (0, 0, 0), (22050, 24000, 16000), (44100, 48000, 32000))  # by version of MPEG audio
_KBITS = ((8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
          (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320))  # fmt: skip


class Mp3Length(NamedTuple):
    """Samples of a channel in all frames, those of a decoder's delay among them; whether the file itself says how many.

    Where it does not, libraries guess from the size of the first frame.
    """

    samples: int
    stated: bool


class _Frame(NamedTuple):
    """How large it is, in bytes, and how many samples of a channel are in it."""

    size: int
    samples: int


def check_whole(path: Path) -> str:
    """What kind of file it is: `wav`, `au`, `ogg`, `mp3` or `flac`.

    Raises:
      UserError: of another kind, or the file ends before its own sizes say; an ogg file of several sounds.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(28)
        kind = _kind(head)
        if kind == "mp3" and (tag := _tag_bytes(head)):
            file.seek(tag)
            kind = "flac" if file.read(4) == b"fLaC" else kind
        if kind is None:
            raise UserError(
                f"{path} is not a readable sound file: it begins with {head[:12]!r}: convert it to wav or flac"
            )
        if kind == "wav":
            promised = _end_of_wav(file, head, size)
        elif kind == "au":
            offset, length = struct.unpack(">II", head[4:12])
            promised = offset + length if length < UNKNOWN_SIZE else size
        elif kind == "ogg":
            promised = _end_of_ogg(path, file, size)
        else:
            promised = size  # a frame of flac that is cut cannot be decoded; of mp3 see `mp3_length`
    if promised > size:
        raise UserError(f"{path} is truncated: it ends after {size} bytes and before its sound does, fetch it again")
    return kind


def mp3_length(path: Path) -> Mp3Length:
    """How long an mp3 file is, by its frames."""
    with open(path, "rb") as file:
        tag = _tag_bytes(file.read(10))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            samples, place = 0, max(content.find(b"\xff", tag), 0)
            first = _mp3_frame(content[place : place + 4])
            opening = content[place : place + first.size] if first else b""
            while (frame := _mp3_frame(content[place : place + 4])) is not None:
                place, samples = place + frame.size, samples + frame.samples
    return Mp3Length(samples, any(name in opening for name in (b"Xing", b"Info", b"VBRI")))


def _tag_bytes(head: bytes) -> int:
    """Length of the ID3 tag that a file begins with, whose size is written with seven bits a byte; 0 of none."""
    return sum(byte << 7 * i for i, byte in enumerate(reversed(head[6:10]))) + 10 if head[:3] == b"ID3" else 0


def _kind(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b".snd" and len(head) >= 12:
        return "au"
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and _mp3_frame(head[:4]) is not None):
        return "mp3"
    return {b"OggS": "ogg", b"fLaC": "flac"}.get(head[:4])


def _end_of_wav(file: BinaryIO, head: bytes, size: int) -> int:
    """Where the samples end, by the chunks; those of RF64 have 64-bit sizes, in a chunk of their own."""
    order = ">" if head[:4] == b"RIFX" else "<"
    position, long = 12, 0
    for _ in range(_MAX_CHUNKS):
        if position + 8 > size:
            return position
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"ds64" and length >= 16:
            _, long = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        if name == b"data":
            if head[:4] == b"RF64":
                length = long if length == 0xFFFF_FFFF else length
            elif length >= UNKNOWN_SIZE:
                return size
            return position + 8 + length
        position += 8 + length + length % 2
    return size + 1


def _end_of_ogg(path: Path, file: BinaryIO, size: int) -> int:
    """The size of the file, or more where no page is the last of its stream.

    Raises:
      UserError: another stream begins after the first has ended: libraries read the first alone.
    """
    ended = False
    for flags in _ogg_pages(file, size):
        if ended and flags & 2:
            raise UserError(f"{path} holds several sounds one after the other: split it")
        ended = ended or bool(flags & 4)
    return size if ended else size + 1


def _ogg_pages(file: BinaryIO, size: int) -> Iterator[int]:
    """Flags of every whole page: 2 of the first of its stream, 4 of the last."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            return
        segments = file.read(head[26])
        position += 27 + head[26] + sum(segments)
        if position > size:
            return
        yield head[5]


def _mp3_frame(head: bytes) -> _Frame | None:
    """A frame of MPEG audio, layer III, by the four bytes of its header; None where they are none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] & 0x06 != 0x02:
        return None
    version, bits, rate, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    return _Frame(samples // 8 * 1000 * _KBITS[version == 3][bits - 1] // _RATES[version][rate] + padding, samples)
