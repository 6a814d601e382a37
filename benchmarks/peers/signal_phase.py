"""python -m benchmarks.peers.signal_phase BENCHMARK: STFT, inverse STFT or Griffin-Lim with librosa, clip by clip.

The benchmark `invert` of specjax starts from phases estimated by PGHI (phase gradient heap integration), which librosa
does not have. Its counterpart here is Griffin-Lim with as many iterations from random phases.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.peers import timing
from specjax.benchmark.tones import make_tones

SAMPLE_RATE, DURATION_S, N_FFT, HOP_LENGTH, ITERATIONS, REFINEMENTS = 22050, 5.0, 1024, 256, 100, 32
BENCHMARKS = ("stft", "istft", "griffin_lim", "invert")


def compute_magnitudes(waves: np.ndarray) -> list[np.ndarray]:
    """Compute the STFT magnitudes of each clip."""
    import librosa

    return [np.abs(librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH)) for wave in waves]


def convergence_db(result: np.ndarray, waves: np.ndarray) -> float:
    """Compute the spectral convergence of reconstructed waves in dB; lower is better.

    It is the energy of the difference between the magnitudes, relative to the energy of the original magnitudes.

    Args:
      result: reconstructed waves, of shape (batch, samples).
      waves: original waves, of the same shape.
    """
    target, reached = np.stack(compute_magnitudes(waves)), np.stack(compute_magnitudes(result))
    return float(10 * np.log10(np.sum((reached - target) ** 2) / np.sum(target**2)))


def make_benchmark(name: str, waves: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function without arguments that runs the benchmark `name` on a batch of clips."""
    import librosa

    length = waves.shape[1]
    if name == "stft":
        return lambda: np.stack([librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH) for wave in waves])
    if name == "istft":
        spectra = [librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH) for wave in waves]
        return lambda: np.stack([librosa.istft(z, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length) for z in spectra])
    targets, iterations = compute_magnitudes(waves), ITERATIONS if name == "griffin_lim" else REFINEMENTS
    return lambda: np.stack(
        [librosa.griffinlim(m, n_iter=iterations, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length) for m in targets]
    )


def main() -> None:
    args = timing.parse_arguments("transforms and Griffin-Lim with librosa", batch=4, benchmarks=BENCHMARKS)
    waves = make_tones(args.batch, DURATION_S, SAMPLE_RATE)
    evaluate = None if args.benchmark == "stft" else partial(convergence_db, waves=waves)
    timing.run("librosa", args.benchmark, make_benchmark(args.benchmark, waves), args.batch, args.repeats, evaluate)


if __name__ == "__main__":
    main()
