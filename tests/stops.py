"""Stop request for tests that train in the process of the test."""

from pathlib import Path
from unittest import mock

import jax

from specjax.engine import loop
from specjax.engine.config import TrainConfig
from specjax.engine.digests import digests
from specjax.engine.task import Task
from specjax.engine.workdir import StopRequest


class StopAt(StopRequest):
    """Stops before a step, or never, and handles no signals."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step

    def should_stop(self, step: int) -> bool:
        return self.step is not None and step >= self.step


def assert_resumes_with_the_same_bits(task: Task, config: TrainConfig, folder: Path) -> None:
    """Assert that a run that is stopped after its first update and resumed ends like one that is not stopped.

    It trains on one device: on a CPU, two independent collectives of one program may wait for each other.
    """
    with mock.patch.object(jax, "device_count", return_value=1):
        whole = loop.train(task, config, folder / "whole", {}, StopAt())
        loop.train(task, config, folder / "parts", {}, StopAt(1))
        resumed = loop.train(task, config, folder / "parts", {}, StopAt())
    assert digests(resumed.state) == digests(whole.state)
