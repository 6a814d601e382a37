from .band import GENRES, synthesize, tempo_bpm
from .config import GanConfig
from .inference import GanInference
from .judge import JudgeConfig, JudgeInference
from .pieces import compose, to_waves
from .representation import SAMPLE_RATE, Representation, mel_power
from .transformer.config import TransformerConfig
from .wave.config import WaveConfig

__all__ = [
    "GanConfig",
    "GENRES",
    "synthesize",
    "tempo_bpm",
    "SAMPLE_RATE",
    "Representation",
    "mel_power",
    "GanInference",
    "JudgeConfig",
    "JudgeInference",
    "TransformerConfig",
    "WaveConfig",
    "compose",
    "to_waves",
]
