"""Settings of the example paper."""

from dataclasses import dataclass

from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec


@dataclass(frozen=True)
class LineConfig:
    """Settings of the line fit.

    width: number of coordinates of a point.
    points: number of training points; a quarter as many are held out.
    """

    width: int = 3
    points: int = 64
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=0.1))

    def __post_init__(self) -> None:
        if self.width < 1 or self.points < 4:
            raise ValueError(f"width={self.width} must be at least 1, and points={self.points} at least 4")
