from .minimization import Solution, minimize
from .optimizer import OptimizerConfig, PlateauConfig
from .schedules import ScheduleSpec

__all__ = [
    "Solution",
    "minimize",
    "OptimizerConfig",
    "PlateauConfig",
    "ScheduleSpec",
]
