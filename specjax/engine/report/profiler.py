"""Profiler traces of a few training steps, for XProf or Perfetto."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax


class Profiler:
    """Profiler of a range of training steps.

    Training calls a compiled program that runs one or more updates. Each call that overlaps the range is traced.
    """

    def __init__(self, steps: tuple[int, int], folder: Path) -> None:
        """Set the range of steps to trace.

        Args:
          steps: first and last step to trace; (0, 0) traces nothing.
          folder: folder to which the trace is written.
        """
        self._first, self._last = steps
        self._folder = folder
        self.running = False

    @contextmanager
    def trace(self, step: int, count: int) -> Iterator[None]:
        """Return a context manager for a call that runs `count` updates, beginning with update `step`.

        The call is traced if its updates overlap the range of steps of this profiler.
        """
        if not self._last or step > self._last or step + count <= self._first:
            yield
            return
        if not self.running:
            jax.profiler.start_trace(str(self._folder))
            self.running = True
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield
        if step + count > self._last:
            self.close()

    def close(self) -> None:
        """End the trace that is running, if there is one, and write it."""
        if self.running:
            jax.profiler.stop_trace()
            self.running = False
