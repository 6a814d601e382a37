"""Files that are there whole or not at all, and what goes into them."""

import io
import os
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8


def write_whole(path: Path, content: bytes) -> None:
    """Write under another name, make it durable, then rename: whoever looks sees the old file or the new one.

    Raises:
      OSError: there is no room, or no permission; nothing is left behind.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """An RGB picture as a PNG file."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    return encoded.getvalue()


def wav(wave: Float[np.ndarray, " samples"], sample_rate: int) -> bytes:
    """A wave in [-1, 1] as a WAV file of 16 bits."""
    import soundfile

    encoded = io.BytesIO()
    soundfile.write(encoded, wave, sample_rate, format="WAV", subtype="PCM_16")
    return encoded.getvalue()
