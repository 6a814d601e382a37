"""python -m specjax.peers.signal_phase WORK: transforms and Griffin-Lim, clip by clip, with librosa."""

from collections.abc import Callable

import numpy as np

from specjax.peers import timing

SAMPLE_RATE, DURATION_S, N_FFT, HOP_LENGTH, ITERATIONS = 22050, 5, 1024, 256, 100
WORKS = ("stft", "istft", "griffin_lim")


def task(work: str, batch: int) -> Callable[[], np.ndarray]:
    """The work on `batch` clips, to be called."""
    import librosa

    rng = np.random.default_rng(0)
    waves = (0.1 * rng.standard_normal((batch, SAMPLE_RATE * DURATION_S))).astype(np.float32)
    spectra = [librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH) for wave in waves]
    levels, length = [np.abs(spectrum) for spectrum in spectra], waves.shape[1]
    if work == "stft":
        return lambda: np.stack([librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH) for wave in waves])
    if work == "istft":
        return lambda: np.stack([librosa.istft(z, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length) for z in spectra])
    return lambda: np.stack(
        [librosa.griffinlim(m, n_iter=ITERATIONS, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length) for m in levels]
    )


def main() -> None:
    args = timing.arguments("transforms and Griffin-Lim with librosa", batch=4, works=WORKS)
    timing.report("librosa", args.work, task(args.work, args.batch), args.batch, args.repeats)


if __name__ == "__main__":
    main()
