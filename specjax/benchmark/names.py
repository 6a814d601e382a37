"""Works by name. Apart from what does them, so that a command can list them before anything heavy is imported."""

HEADS = ("paper", "rows")
MIXES = ("huber", "ms_ssim", "fft", "sobel", "waveform")

# Wing -> work -> items a call where no number is asked for (0: the config's batch); those that peers do are of their
# size.
BATCHES = {
    "chord": {"targets": 8, "forward": 8, "step": 0, "sound": 4} | {f"step_{h}_{m}": 2 for h in HEADS for m in MIXES},
    "signal": {"mel": 10, "mel_100": 100}
    | dict.fromkeys(("stft", "istft", "griffin_lim", "spsi", "rtisi_la", "rtpghi", "pghi", "invert", "refine"), 4),
}
DEFAULT = {
    "chord": ("targets", "forward", "step", "step_paper_ms_ssim", "sound"),
    "signal": tuple(BATCHES["signal"]),
}
