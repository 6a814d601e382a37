"""python -m specjax.knobs --workdir=runs/unet [--at_step=N] [lr=0.5 loss.ms_ssim=0.3 curriculum=0,1 ...]

Changes the knobs of a training while it runs, from its next dispatch on or from --at_step on; `NAME=config` follows
the config again. `lr` scales the learning rate of the config, everything else is the value itself. Without a change
it shows what there is to change, what was changed, and what waits to be taken up.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from specjax.cli import app
from specjax.cli.errors import UserError

if TYPE_CHECKING:
    from specjax.engine.live.changes import Change
    from specjax.engine.live.value import LiveValue

POSITIONAL = 100
WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
AT_STEP = flags.DEFINE_integer("at_step", None, "update from which on the changes hold; by default the next", 0)


def main(argv: Sequence[str]) -> None:
    if WORKDIR.value is None:
        raise UserError("--workdir is missing: name the folder of a run")
    workdir = Path(WORKDIR.value)
    values = _assignments(argv[1:])
    if AT_STEP.value is not None and not values:
        raise UserError("--at_step changes nothing by itself: add what to change, such as lr=0.5")
    print("specjax knobs: starting", file=sys.stderr, flush=True)
    from specjax import papers
    from specjax.cli import config
    from specjax.engine.live import changes
    from specjax.engine.live.values import all_live_values

    clock, task = papers.build(config.read_json(workdir / "config.json"))
    knobs = all_live_values(task, clock)
    step = _last_step(workdir)
    if values:
        changes.check(values, knobs)
        _check_step(AT_STEP.value, step, clock.steps)
        changes.post(workdir, values, AT_STEP.value)
        print(f"posted; the run in {workdir} takes it up at its next dispatch, or when it is started again")
    history = changes.read_history(workdir)
    print(_table(knobs, history, step))
    for change in history:
        print(f"from step {change.step}: {_said(change.values)}")
    for path in changes.waiting(workdir):
        request = changes.read_request(path)
        begin = "the next step" if request.at_step is None else f"step {request.at_step}"
        print(f"waiting, from {begin}: {_said(request.values)}")


def _assignments(words: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise UserError(f"{word!r} is not of the form NAME=VALUE, such as lr=0.5")
        if name in values:
            raise UserError(f"{name} is given twice")
        values[name] = text
    return values


def _check_step(at_step: int | None, now: int, steps: int) -> None:
    if at_step is not None and not now <= at_step < steps:
        raise UserError(
            f"--at_step={at_step}: the run is at step {now} and ends at {steps}; choose between them, or leave it out"
        )


def _last_step(workdir: Path) -> int:
    """Last step in the log of the run."""
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))
        lines = file.read().split(b"\n")
    for line in reversed(lines[:-1]):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def _table(knobs: Mapping[str, "LiveValue"], history: Sequence["Change"], step: int) -> str:
    import numpy as np

    from specjax.engine.live.changes import value_at

    rows = [f"{f'step {step}':<18}{'config':>24}  changed to"]
    for name, knob in knobs.items():
        configured = np.asarray(knob.schedule(np.float32(step)))
        members = ",".join(map(str, np.flatnonzero(configured)))
        shown = members if configured.ndim else f"{float(configured):.4g}"
        changed = value_at(history, name, step)
        scaled = "times " if knob.scales and changed else ""
        rows.append(f"{name:<18}{shown:>24}  {scaled}{changed or ''}".rstrip())
    return "\n".join(rows)


def _said(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in values.items())


if __name__ == "__main__":
    app.run(main)
