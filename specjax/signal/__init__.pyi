from .augment import mixup, random_gain, random_masks, random_row_shift, random_time_shift
from .features import bin_frequencies, flatness, moments, rms, rolloff_hz, zero_crossings
from .framing import frame, overlap_add
from .inversion import Inversion, convergence_db, invert, to_wave
from .level import amplitude_to_db, db_to_amplitude, db_to_power, power_to_db
from .mel import Mel, delta, hz_to_mel, mel_filters, mel_spectrogram, mel_to_hz, mfcc
from .oscillators import additive_synthesis, phase_increment
from .phase.griffin_lim import griffin_lim
from .phase.pghi import pghi
from .phase.rtisi import rtisi_la
from .phase.rtpghi import rtpghi
from .phase.spsi import spsi
from .pitch import harmonicity, yin
from .presets import PRESETS, Preset, Spectrogram, spectrogram
from .short_time_fourier import Stft, istft, magnitude, power, stft
from .texture import texture_statistics
from .unmel import mel_to_power
from .windows import WINDOWS, window

__all__ = [
    "Stft",
    "istft",
    "magnitude",
    "power",
    "stft",
    "WINDOWS",
    "window",
    "frame",
    "overlap_add",
    "Mel",
    "delta",
    "hz_to_mel",
    "mel_filters",
    "mel_spectrogram",
    "mel_to_hz",
    "mfcc",
    "mel_to_power",
    "amplitude_to_db",
    "db_to_amplitude",
    "db_to_power",
    "power_to_db",
    "PRESETS",
    "Preset",
    "Spectrogram",
    "spectrogram",
    "Inversion",
    "convergence_db",
    "invert",
    "to_wave",
    "griffin_lim",
    "pghi",
    "rtisi_la",
    "rtpghi",
    "spsi",
    "bin_frequencies",
    "flatness",
    "moments",
    "rms",
    "rolloff_hz",
    "zero_crossings",
    "harmonicity",
    "yin",
    "additive_synthesis",
    "phase_increment",
    "texture_statistics",
    "mixup",
    "random_gain",
    "random_masks",
    "random_row_shift",
    "random_time_shift",
]
