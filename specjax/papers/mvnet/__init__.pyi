from .config import GanConfig
from .encoder import EncoderConfig, EncoderInference
from .inference import GanInference, Painter
from .judge import JudgeConfig, JudgeInference
from .representation import SAMPLE_RATE, Representation, clip_mel
from .style import StyleConfig
from .stylist import Stylist
from .works import ERAS, MuseumConfig

__all__ = [
    "GanConfig",
    "ERAS",
    "MuseumConfig",
    "SAMPLE_RATE",
    "Representation",
    "clip_mel",
    "EncoderConfig",
    "EncoderInference",
    "GanInference",
    "Painter",
    "JudgeConfig",
    "JudgeInference",
    "StyleConfig",
    "Stylist",
]
