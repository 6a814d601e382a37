"""Detection of the format of sound files, and of truncated files.

Sound libraries read a truncated file as a shorter sound, without an error. The functions of this module compare the
sizes that the file declares in its headers with the size of the file. They do not decode the sound. The format is
detected from the first bytes of the file, not from its name.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from specjax.cli.errors import UserError

# Programs that write to a pipe cannot know the size in advance, and declare the largest possible size. A declared size
# of at least this many bytes is therefore unknown.
UNKNOWN_SIZE = 0x7FFF_0000
# Accepted suffixes of the file name, by the format of the content. Sound in the Opus codec is in an ogg file.
SUFFIXES_BY_FORMAT = {
    "wav": (".wav",),
    "aiff": (".aiff", ".aif"),
    "flac": (".flac",),
    "ogg": (".ogg",),
    "opus": (".opus", ".ogg"),
    "mp3": (".mp3",),
    "au": (".au",),
}
_MAX_CHUNKS = 10_000
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MP3_RUN = 4  # Pictures in tags have bytes like the header of a frame, but not of several frames in a row.
_HEAD_BYTES = 290  # The header of an ogg page has up to 282 bytes. The name of the codec follows it.

# Sample rates in Hz, by the version field of the frame header (MPEG 2.5, reserved, MPEG 2, MPEG 1).
_RATES = ((11025, 12000, 8000), (0, 0, 0), (22050, 24000, 16000), (44100, 48000, 32000))
# Bit rates of layer III in kbit/s, for MPEG 2 and 2.5 (first row) and MPEG 1 (second row).
_KBITS = ((8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
          (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320))  # fmt: skip


class Mp3Length(NamedTuple):
    """Length of an mp3 file.

    Attributes:
      samples: number of samples per channel in all mp3 frames of the file. The sound itself is shorter: encoders pad it
        at both ends, and a header that states the length takes up one silent frame.
      stated: True if the file has a header that states its length (Xing, Info or VBRI). Without such a header, sound
        libraries estimate the length from the size of the first frame.
    """

    samples: int
    stated: bool


class _Frame(NamedTuple):
    """Size of an mp3 frame in bytes, and its number of samples per channel."""

    size: int
    samples: int


def check_whole(path: Path) -> str:
    """Detect the format of a sound file, and check that a wav, aiff, au, ogg or opus file is not truncated.

    Truncated flac and mp3 files are not detected here. Flac decoders detect them; for mp3 see `mp3_length`.

    Returns:
      The format, a key of `SUFFIXES_BY_FORMAT`.

    Raises:
      UserError: the format is not one of these; the file is shorter than its header declares; an ogg file contains
        several streams one after another, which sound libraries do not read completely.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
        kind = _detect_format(head)
        if kind == "mp3" and (tag := _id3_size(head)):
            file.seek(tag)
            tagged = _detect_format(file.read(_HEAD_BYTES))
            if tagged not in ("flac", "mp3", None):
                raise UserError(f"{path} has an ID3 tag before {tagged} content, expected none: remove the tag")
            kind = tagged or kind
        if kind is None:
            raise UserError(
                f"{path} is not a readable sound file: it begins with {head[:12]!r}, expected "
                f"{', '.join(SUFFIXES_BY_FORMAT)}: convert it to wav or flac"
            )
        if kind in ("wav", "aiff"):
            declared = _find_samples_end(file, head, size)
        elif kind == "au":
            offset, length = struct.unpack(">II", head[4:12])
            declared = offset + length if length < UNKNOWN_SIZE else size
        elif kind in ("ogg", "opus"):
            declared = _find_ogg_end(path, file, size)
        else:
            declared = size
    if declared > size:
        raise UserError(f"{path} is truncated: {size} bytes are fewer than its header declares: get the file again")
    return kind


def aiff_length(path: Path) -> int:
    """Read the number of samples per channel that an aiff file declares; 0 if it does not know its length.

    In a compressed file it may be the number of packets, which is smaller.
    """
    samples = 0
    with open(path, "rb") as file:
        for name, start, length in _iterate_chunks(file, ">", path.stat().st_size):
            if name == b"COMM" and length >= 18:
                file.seek(start + 2)
                (samples,) = struct.unpack(">I", file.read(4).ljust(4, b"\0"))
            if name == b"SSND" and length >= UNKNOWN_SIZE:
                return 0
    return samples


def mp3_length(path: Path) -> Mp3Length:
    """Compute the length of an mp3 file from the headers of all its frames, without decoding them.

    What lies between frames is skipped, such as tags, and the tags between files that were joined.
    """
    with open(path, "rb") as file:
        tag = _id3_size(file.read(10))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            samples, position = 0, _find_mp3_frames(content, tag)
            first = _parse_mp3_frame(content[position : position + 4])
            first_bytes = content[position : position + first.size] if first else b""
            while position < len(content):
                while (frame := _parse_mp3_frame(content[position : position + 4])) is not None:
                    position, samples = position + frame.size, samples + frame.samples
                position = _find_mp3_frames(content, position)
    return Mp3Length(samples, any(name in first_bytes for name in (b"Xing", b"Info", b"VBRI")))


def _find_mp3_frames(content: mmap.mmap, start: int) -> int:
    """Find the next position at which `_MP3_RUN` mp3 frames follow each other; the size of the content if none do."""
    position = content.find(b"\xff", start)
    while position >= 0:
        end = position
        for _ in range(_MP3_RUN):
            frame = _parse_mp3_frame(content[end : end + 4])
            if frame is None:
                break
            end += frame.size
        else:
            return position
        position = content.find(b"\xff", position + 1)
    return len(content)


def _id3_size(head: bytes) -> int:
    """Compute the size in bytes of the ID3 tag at the start of a file, from its first 10 bytes; 0 if there is no tag.

    The tag stores its size in four bytes, with seven bits in each.
    """
    return sum(byte << 7 * i for i, byte in enumerate(reversed(head[6:10]))) + 10 if head[:3] == b"ID3" else 0


def _detect_format(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] == b".snd" and len(head) >= 12:
        return "au"
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and _parse_mp3_frame(head[:4]) is not None):
        return "mp3"
    if head[:4] == b"OggS":
        first_packet = head[27 + head[26] :] if len(head) > 26 else b""
        return "opus" if first_packet.startswith(b"OpusHead") else "ogg"
    return "flac" if head[:4] == b"fLaC" else None


def _find_samples_end(file: BinaryIO, head: bytes, size: int) -> int:
    """Find the position in bytes at which the samples of a wav or aiff file end, according to the headers in the file.

    The chunk `data` of a wav file and the chunk `SSND` of an aiff file hold the samples.

    Args:
      file: open wav or aiff file.
      head: first bytes of the file, at least 4. They tell the variant of the format: RIFF, RIFX, RF64 or FORM.
      size: size of the file in bytes.

    Returns:
      The end of the chunk with the samples. A result above `size` means that the file is truncated. There are three
      exceptions:

      - The length of the chunk is marked as unknown: `size`.
      - The file ends before the chunk: the end of the last chunk.
      - The chunk is not among the first `_MAX_CHUNKS` chunks: `size + 1`.
    """
    variant, end, size_64 = head[:4], 12, 0
    order = ">" if variant in (b"RIFX", b"FORM") else "<"
    for count, (name, start, length) in enumerate(_iterate_chunks(file, order, size)):
        if name == b"ds64" and length >= 16:  # RF64 files store the 64-bit size of the samples in this chunk.
            _, size_64 = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        if name == (b"SSND" if variant == b"FORM" else b"data"):
            if variant == b"RF64":
                length = size_64 if length == 0xFFFF_FFFF else length
            elif length >= UNKNOWN_SIZE:
                return size
            return start + length
        end = start + length + length % 2
        if count + 1 == _MAX_CHUNKS:
            return size + 1
    return end


def _iterate_chunks(file: BinaryIO, order: str, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Iterate over the first `_MAX_CHUNKS` chunks of a wav or aiff file: name, position of the content, and length.

    A chunk has a header with its name and the length of its content in bytes. The file is left at the content.

    Args:
      file: open file.
      order: byte order of the lengths, "<" or ">".
      size: size of the file in bytes.
    """
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        yield name, position + 8, length
        position += 8 + length + length % 2


def _find_ogg_end(path: Path, file: BinaryIO, size: int) -> int:
    """Return the least size in bytes of a complete ogg file, which contains the last page of its stream.

    Args:
      path: path of the file, for error messages.
      file: open ogg file.
      size: size of the file in bytes.

    Returns:
      `size` if the last page is there. Otherwise `size + 1`, which means that bytes are missing.

    Raises:
      UserError: another stream begins after the first has ended. Sound libraries would read only the first. Or a page
        has a wrong checksum. Sound libraries would leave it out.
    """
    ended = False
    for number, (flags, intact) in enumerate(_iterate_ogg_pages(file, size)):
        if not intact:
            raise UserError(f"{path} is damaged: the checksum of page {number} is wrong: get the file again")
        if ended and flags & 2:
            raise UserError(f"{path} contains several streams one after the other, expected one: split the file")
        ended = ended or bool(flags & 4)
    return size if ended else size + 1


def _iterate_ogg_pages(file: BinaryIO, size: int) -> Iterator[tuple[int, bool]]:
    """Iterate over all complete pages of an ogg file: their flag bytes, and whether their checksums are right.

    The flag 0x02 is set on the first page of a stream, and the flag 0x04 on the last.
    """
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
        page = head[:22] + bytes(4) + head[26:] + segments + file.read(sum(segments))
        yield head[5], _ogg_checksum(page) == int.from_bytes(head[22:26], "little")


def _ogg_checksum(page: bytes) -> int:
    """Compute the checksum of an ogg page: the CRC-32 of zlib with bits in reverse order, and without inversions."""
    inverted = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFF_FFFF)
    return int(f"{inverted ^ 0xFFFF_FFFF:032b}"[::-1], 2)


def _parse_mp3_frame(head: bytes) -> _Frame | None:
    """Parse the four header bytes of an mp3 frame (MPEG audio layer III). Return None if they are not such a header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] & 0x06 != 0x02:
        return None
    version, bits, rate, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    return _Frame(samples // 8 * 1000 * _KBITS[version == 3][bits - 1] // _RATES[version][rate] + padding, samples)
