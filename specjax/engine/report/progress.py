"""The line on a terminal that says how far a run is, how fast, and what its time goes to."""

import math
import sys
import time


class Progress:
    """One line a second on a terminal, one every ten elsewhere: step, speed, time left, where the time goes."""

    def __init__(self, steps: int, batch_size: int, start_step: int) -> None:
        self._steps, self._batch_size = steps, batch_size
        self._tty = sys.stderr.isatty()
        self._begin = self._last = time.monotonic()
        self._start_step = start_step
        self.spent = {"compile": 0.0, "eval": 0.0, "save": 0.0}

    def timed(self, what: str) -> "_Timer":
        """Context that books its duration under `what`."""
        return _Timer(self.spent, what)

    def training_seconds(self) -> float:
        return max(time.monotonic() - self._begin - sum(self.spent.values()), 1e-9)

    def steps_per_second(self, step: int) -> float:
        """Speed of training proper since this process began."""
        return (step - self._start_step) / self.training_seconds()

    def report(self, step: int, loss: float, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._last < (1.0 if self._tty else 10.0):
            return
        self._last = now
        speed = self.steps_per_second(step)
        left = (self._steps - step) / speed if speed > 0 else math.inf
        total = now - self._begin
        split = {"train": self.training_seconds(), **self.spent}
        shares = " ".join(f"{name} {100 * seconds / total:.0f}%" for name, seconds in split.items() if seconds > 0)
        line = (
            f"step {step}/{self._steps} loss {loss:.4g} | {speed:.3g} steps/s {speed * self._batch_size:.3g} items/s"
            f" | {_clock(left)} left | {shares}"
        )
        sys.stderr.write(f"\r\033[K{line}" if self._tty else line + "\n")
        if last and self._tty:
            sys.stderr.write("\n")
        sys.stderr.flush()


class _Timer:
    def __init__(self, book: dict[str, float], what: str) -> None:
        self._book, self._what = book, what

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._book[self._what] += time.monotonic() - self._start


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "--:--"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
