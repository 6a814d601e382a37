"""python -m benchmarks.peers.signal_mel: MELodyGAN's mel spectrograms, clip by clip, with librosa."""

import numpy as np
from jaxtyping import Float

from benchmarks.peers import timing

SAMPLE_RATE, DURATION_S = 22050, 10


def log_mel(wave: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "128 frames"]:
    """Section 3.3 of the MELodyGAN paper, with torchaudio's conventions, as logarithms."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=wave, sr=SAMPLE_RATE, n_fft=2048, hop_length=512, n_mels=128, pad_mode="reflect", htk=True, norm=None
    )
    return np.log(1e-5 + power)


def main() -> None:
    args = timing.arguments("mel spectrograms with librosa", batch=10)
    rng = np.random.default_rng(0)
    waves = (0.1 * rng.standard_normal((args.batch, SAMPLE_RATE * DURATION_S))).astype(np.float32)
    timing.report("librosa", "mel", lambda: np.stack([log_mel(wave) for wave in waves]), args.batch, args.repeats)


if __name__ == "__main__":
    main()
