from .config import GanConfig
from .dataset import ERAS, MuseumConfig
from .encoder import EncoderConfig, EncoderInference
from .inference import GanInference, Painter
from .judge import JudgeConfig, JudgeInference
from .refinement import Refiner
from .representation import SAMPLE_RATE, Representation, clip_mel
from .style import StyleConfig

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
    "Refiner",
]
