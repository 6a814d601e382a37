"""Stop request for tests that train in the process of the test."""

from specjax.engine.workdir import StopRequest


class StopAt(StopRequest):
    """Stops before a step, or never, and handles no signals."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step

    def should_stop(self, step: int) -> bool:
        return self.step is not None and step >= self.step
