"""python -m benchmarks.peers.signal_mel: mel spectrograms of the MELodyGAN paper with librosa, clip by clip."""

import numpy as np
from jaxtyping import Float

from benchmarks.peers import timing

SAMPLE_RATE, DURATION_S = 22050, 10


def log_mel(wave: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "128 frames"]:
    """Compute the log-mel spectrogram of the MELodyGAN paper, section 3.3, with the conventions of torchaudio."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=wave, sr=SAMPLE_RATE, n_fft=2048, hop_length=512, n_mels=128, pad_mode="reflect", htk=True, norm=None
    )
    return np.log(1e-5 + power)


def main() -> None:
    args = timing.parse_arguments("mel spectrograms with librosa", batch=10)
    rng = np.random.default_rng(0)
    waves = (0.1 * rng.standard_normal((args.batch, SAMPLE_RATE * DURATION_S))).astype(np.float32)
    timing.run("librosa", "mel", lambda: np.stack([log_mel(wave) for wave in waves]), args.batch, args.repeats)


if __name__ == "__main__":
    main()
