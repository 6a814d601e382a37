"""python -m benchmarks.peers.signal_phase WORK: transforms and Griffin-Lim, clip by clip, with librosa.

Beside `invert`, which begins with PGHI, stands as many of librosa's iterations from phases drawn at random.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.peers import timing
from specjax.benchmark.clips import tones

SAMPLE_RATE, DURATION_S, N_FFT, HOP_LENGTH, ITERATIONS, REFINEMENTS = 22050, 5.0, 1024, 256, 100, 32
WORKS = ("stft", "istft", "griffin_lim", "invert")


def levels(waves: np.ndarray) -> list[np.ndarray]:
    """Magnitudes of each clip."""
    import librosa

    return [np.abs(librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH)) for wave in waves]


def convergence_db(found: np.ndarray, waves: np.ndarray) -> float:
    """Energy of the difference of magnitudes over that of what was wanted, in dB."""
    wanted, reached = np.stack(levels(waves)), np.stack(levels(found))
    return float(10 * np.log10(np.sum((reached - wanted) ** 2) / np.sum(wanted**2)))


def task(work: str, waves: np.ndarray) -> Callable[[], np.ndarray]:
    """The work on a batch of clips, to be called."""
    import librosa

    length = waves.shape[1]
    if work == "stft":
        return lambda: np.stack([librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH) for wave in waves])
    if work == "istft":
        spectra = [librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH) for wave in waves]
        return lambda: np.stack([librosa.istft(z, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length) for z in spectra])
    wanted, iterations = levels(waves), ITERATIONS if work == "griffin_lim" else REFINEMENTS
    return lambda: np.stack(
        [librosa.griffinlim(m, n_iter=iterations, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length) for m in wanted]
    )


def main() -> None:
    args = timing.arguments("transforms and Griffin-Lim with librosa", batch=4, works=WORKS)
    waves = tones(args.batch, DURATION_S, SAMPLE_RATE)
    judged = None if args.work == "stft" else partial(convergence_db, waves=waves)
    timing.report("librosa", args.work, task(args.work, waves), args.batch, args.repeats, judged)


if __name__ == "__main__":
    main()
