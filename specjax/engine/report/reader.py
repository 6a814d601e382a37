"""Reader of the metrics log of a run, which `writer` writes."""

from pathlib import Path
from typing import NamedTuple

from specjax.cli import files
from specjax.cli.config import parse_json
from specjax.cli.errors import UserError


class Curve(NamedTuple):
    """Values of a scalar, and the steps at which they were logged."""

    steps: list[int]
    values: list[float]


def read_curve(workdir: Path, name: str) -> Curve:
    """Read one scalar, such as `train/loss`, from the log of a run. Values that were not finite are left out.

    Raises:
      UserError: the run has no log, or none of this scalar.
    """
    path = workdir / "metrics.jsonl"
    try:
        lines = [parse_json(line) for line in files.read_regular(path).splitlines()]
        points = [(int(line["step"]), float(line[name])) for line in lines if line.get(name) is not None]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name the folder of a run") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): train again in another folder") from error
    if not points:
        raise UserError(f"{path} has no values of {name}: name a run that has logged them")
    return Curve(*map(list, zip(*points, strict=True)))
