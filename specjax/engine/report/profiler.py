"""Profiler traces of a few training steps, for XProf or Perfetto."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax


class Profiler:
    """Traces the dispatches that overlap a range of steps."""

    def __init__(self, steps: tuple[int, int], folder: Path) -> None:
        """Prepare a trace.

        Args:
          steps: first and last step to trace; (0, 0) traces nothing.
          folder: where the trace is written.
        """
        self._first, self._last = steps
        self._folder = folder
        self._running = False

    @contextmanager
    def trace(self, step: int, count: int) -> Iterator[None]:
        """Trace the enclosed dispatch of updates `step` to `step + count` if it overlaps the range."""
        if not self._last or step > self._last or step + count <= self._first:
            yield
            return
        if not self._running:
            jax.profiler.start_trace(str(self._folder))
            self._running = True
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield
        if step + count > self._last:
            jax.profiler.stop_trace()
            self._running = False
