"""Format detection and truncation checks for sound files.

Sound libraries silently read a truncated file as a shorter one. The functions here follow the sizes that a container
declares, without decoding, and compare them with the size of the file. The format is detected by the first bytes, not
by the name.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from specjax.cli.errors import UserError

# Programs that write to a pipe cannot know the size in advance and declare the largest possible one.
UNKNOWN_SIZE = 0x7FFF_0000
_MAX_CHUNKS = 10_000

# Sample rates in Hz by MPEG version field (2.5, reserved, 2, 1); bit rates in kbit/s of layer III, versions 2 and 1.
_RATES = ((11025, 12000, 8000), (0, 0, 0), (22050, 24000, 16000), (44100, 48000, 32000))
_KBITS = ((8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
          (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320))  # fmt: skip


class Mp3Length(NamedTuple):
    """Length of an mp3 file.

    Attributes:
      samples: samples per channel in all frames, including the decoder delay.
      stated: the file has a header with its length (Xing, Info or VBRI). Without one, libraries guess the length from
        the size of the first frame.
    """

    samples: int
    stated: bool


class _Frame(NamedTuple):
    """Size of a frame in bytes, and its number of samples per channel."""

    size: int
    samples: int


def check_whole(path: Path) -> str:
    """Detect the format of a sound file and check that it is not truncated.

    Truncated flac and mp3 files pass this check. A truncated flac frame fails to decode; for mp3 see `mp3_length`.

    Returns:
      One of `wav`, `au`, `ogg`, `mp3` and `flac`.

    Raises:
      UserError: the format is another one; the file ends before its declared size; an ogg file contains several streams
        one after the other.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(28)
        kind = _detect_format(head)
        if kind == "mp3" and (tag := _id3_size(head)):
            file.seek(tag)
            kind = "flac" if file.read(4) == b"fLaC" else kind
        if kind is None:
            raise UserError(
                f"{path} is not a readable sound file: it begins with {head[:12]!r}, expected wav, flac, ogg, "
                f"mp3 or au: convert it to wav or flac"
            )
        if kind == "wav":
            declared = _find_wav_end(file, head, size)
        elif kind == "au":
            offset, length = struct.unpack(">II", head[4:12])
            declared = offset + length if length < UNKNOWN_SIZE else size
        elif kind == "ogg":
            declared = _find_ogg_end(path, file, size)
        else:
            declared = size
    if declared > size:
        raise UserError(f"{path} is truncated: {size} bytes are fewer than its header declares: get the file again")
    return kind


def mp3_length(path: Path) -> Mp3Length:
    """Measure the length of an mp3 file by walking its frames, without decoding."""
    with open(path, "rb") as file:
        tag = _id3_size(file.read(10))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            samples, position = 0, max(content.find(b"\xff", tag), 0)
            first = _parse_mp3_frame(content[position : position + 4])
            first_bytes = content[position : position + first.size] if first else b""
            while (frame := _parse_mp3_frame(content[position : position + 4])) is not None:
                position, samples = position + frame.size, samples + frame.samples
    return Mp3Length(samples, any(name in first_bytes for name in (b"Xing", b"Info", b"VBRI")))


def _id3_size(head: bytes) -> int:
    """Compute the size of a leading ID3 tag in bytes, 0 if there is none.

    The tag stores its size with seven bits per byte.
    """
    return sum(byte << 7 * i for i, byte in enumerate(reversed(head[6:10]))) + 10 if head[:3] == b"ID3" else 0


def _detect_format(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b".snd" and len(head) >= 12:
        return "au"
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and _parse_mp3_frame(head[:4]) is not None):
        return "mp3"
    return {b"OggS": "ogg", b"fLaC": "flac"}.get(head[:4])


def _find_wav_end(file: BinaryIO, head: bytes, size: int) -> int:
    """Find where the samples end by walking the chunks; RF64 stores 64-bit sizes in a chunk of its own.

    Returns:
      The declared end of the `data` chunk in bytes. Without a `data` chunk: the declared end of the last chunk, or
      `size + 1` after `_MAX_CHUNKS` chunks.
    """
    order = ">" if head[:4] == b"RIFX" else "<"
    position, size_64 = 12, 0
    for _ in range(_MAX_CHUNKS):
        if position + 8 > size:
            return position
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"ds64" and length >= 16:
            _, size_64 = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        if name == b"data":
            if head[:4] == b"RF64":
                length = size_64 if length == 0xFFFF_FFFF else length
            elif length >= UNKNOWN_SIZE:
                return size
            return position + 8 + length
        position += 8 + length + length % 2
    return size + 1


def _find_ogg_end(path: Path, file: BinaryIO, size: int) -> int:
    """Return `size` if the stream has a last page, else `size + 1`.

    Raises:
      UserError: another stream begins after the first has ended. Libraries would read only the first.
    """
    ended = False
    for flags in _iterate_ogg_pages(file, size):
        if ended and flags & 2:
            raise UserError(f"{path} contains several streams one after the other, expected one: split the file")
        ended = ended or bool(flags & 4)
    return size if ended else size + 1


def _iterate_ogg_pages(file: BinaryIO, size: int) -> Iterator[int]:
    """Iterate over the flags of all complete pages: 2 marks the first page of a stream, 4 the last."""
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


def _parse_mp3_frame(head: bytes) -> _Frame | None:
    """Parse the four header bytes of an MPEG audio layer III frame; return None if they are not a valid header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] & 0x06 != 0x02:
        return None
    version, bits, rate, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    return _Frame(samples // 8 * 1000 * _KBITS[version == 3][bits - 1] // _RATES[version][rate] + padding, samples)
