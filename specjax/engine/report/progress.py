"""Progress line of a run: step, metrics, speed, time left, and percentages of the time spent on each activity."""

import math
import sys
import time
from collections.abc import Mapping


class Progress:
    """Prints a progress line to stderr, every second on a terminal and every ten seconds elsewhere."""

    def __init__(self, steps: int, batch_size: int, start_step: int) -> None:
        """Start measuring time.

        Args:
          steps: last step of the run.
          batch_size: training examples per step.
          start_step: step at which this process began; above 0 for a resumed run.
        """
        self._steps, self._batch_size = steps, batch_size
        self._tty = sys.stderr.isatty()
        self._width = 0
        self._begin = self._last_report = time.monotonic()
        self._start_step = start_step
        self._overhead_s = {"compile": 0.0, "eval": 0.0, "save": 0.0}

    def measure(self, activity: str) -> "_Timer":
        """Return a context manager that counts its duration as time spent on `activity` instead of on training.

        Args:
          activity: `compile`, `eval` or `save`.
        """
        return _Timer(self._overhead_s, activity)

    def training_seconds(self) -> float:
        """Return the seconds since this object was created, minus those spent on compilation, evaluation and saving."""
        return max(time.monotonic() - self._begin - sum(self._overhead_s.values()), 1e-9)

    def steps_per_second(self, step: int) -> float:
        """Return the mean training speed from the start of this process until `step`, in steps per second.

        Time spent on compilation, evaluation and saving is not counted.
        """
        return (step - self._start_step) / self.training_seconds()

    def report(self, step: int, metrics: Mapping[str, float], *, last: bool = False) -> None:
        """Print the progress line, unless the previous one was printed too recently.

        Args:
          step: current step.
          metrics: metrics to show, by name.
          last: whether this is the final call; it always prints, and ends the line.
        """
        now = time.monotonic()
        if not last and now - self._last_report < (1.0 if self._tty else 10.0):
            return
        self._last_report = now
        speed = self.steps_per_second(step)
        remaining = (self._steps - step) / speed if speed > 0 else math.inf
        total = now - self._begin
        activities = {"train": self.training_seconds(), **self._overhead_s}
        shares = " ".join(f"{name} {100 * seconds / total:.0f}%" for name, seconds in activities.items() if seconds > 0)
        values = "".join(f" {name} {value:.4g}" for name, value in metrics.items())
        line = (
            f"step {step}/{self._steps}{values} | {speed:.3g} steps/s {speed * self._batch_size:.3g} items/s"
            f" | {_format_duration(remaining)} left | {shares}"
        )
        sys.stderr.write(f"\r{line:{self._width}}" if self._tty else line + "\n")
        self._width = len(line)  # The next line covers this one.
        if last and self._tty:
            sys.stderr.write("\n")
        sys.stderr.flush()


class _Timer:
    """Context manager that adds its duration in seconds to `totals[name]`."""

    def __init__(self, totals: dict[str, float], name: str) -> None:
        self._totals, self._name = totals, name

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._totals[self._name] += time.monotonic() - self._start


def _format_duration(seconds: float) -> str:
    """Format a duration as `h:mm:ss`, or as `m:ss` below one hour; an infinite one as `--:--`."""
    if not math.isfinite(seconds):
        return "--:--"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
