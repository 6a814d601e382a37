from .conditioning import Conditioning, operators, target, targets
from .config import ChordConfig
from .inference import ChordInference
from .metrics import decode_chord, profile_templates, r_squared, row_profile
from .model import UNet, UNetConfig
from .sound import SoundConfig, tuning, wave
from .theory import QUALITY_NAMES, chord_rows, exact_frequencies_hz, fundamental_hz, note_name

__all__ = [
    "ChordConfig",
    "Conditioning",
    "operators",
    "target",
    "targets",
    "QUALITY_NAMES",
    "chord_rows",
    "exact_frequencies_hz",
    "fundamental_hz",
    "note_name",
    "UNet",
    "UNetConfig",
    "ChordInference",
    "decode_chord",
    "profile_templates",
    "r_squared",
    "row_profile",
    "SoundConfig",
    "tuning",
    "wave",
]
