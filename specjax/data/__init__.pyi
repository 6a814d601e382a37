from .audio import channel_blocks, fit_length, read_audio, read_channels, resample
from .clips import read_clips
from .readers import read_color_picture, read_idx, read_picture

__all__ = [
    "channel_blocks",
    "fit_length",
    "read_audio",
    "read_channels",
    "resample",
    "read_clips",
    "read_color_picture",
    "read_idx",
    "read_picture",
]
