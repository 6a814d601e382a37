"""python -m specjax.knobs --workdir=runs/unet [--at_step=N] [lr=0.5 loss.ms_ssim=0.3 curriculum=0,1 ...]

Changes settings of a run while it trains (its live values). NAME=VALUE takes effect as soon as the run accepts it, or
at update N with --at_step=N. `lr` is a factor on the learning rate of the config; any other value replaces that of the
config. NAME=config makes a live value follow the config again. Without NAME=VALUE, prints the live values, the changes
so far, and the requests that the run has not accepted yet.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from specjax.cli import app
from specjax.cli.config import parse_json
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path

if TYPE_CHECKING:
    from specjax.engine.live.changes import Change
    from specjax.engine.live.value import LiveValue

POSITIONAL = 100  # greatest number of NAME=VALUE arguments
WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
AT_STEP = flags.DEFINE_integer("at_step", None, "update at which the changes take effect; by default the next", 0)


def main(argv: Sequence[str]) -> None:
    if WORKDIR.value is None:
        raise UserError("--workdir is missing: name the folder of a run")
    workdir = local_path(WORKDIR.value, "--workdir")
    values = _parse_assignments(argv[1:])
    if AT_STEP.value is not None and not values:
        raise UserError("--at_step changes nothing by itself: add a change, such as lr=0.5")
    print("specjax knobs: starting", file=sys.stderr, flush=True)
    from specjax import papers
    from specjax.cli import config
    from specjax.engine.live import changes
    from specjax.engine.live.values import all_live_values

    train_config, task = papers.build(config.read_json(workdir / "config.json"))
    live_values = all_live_values(task, train_config)
    step = _last_step(workdir)
    if values:
        changes.check(values, live_values)
        _check_step(AT_STEP.value, step, train_config.steps)
        changes.post(workdir, values, AT_STEP.value)
        print(f"posted; the run in {workdir} takes it up at its next dispatch, or when it is resumed")
    history = changes.read_history(workdir)
    print(_table(live_values, history, step))
    for change in history:
        print(f"from step {change.step}: {_format_values(change.values)}")
    for path in changes.list_pending_requests(workdir):
        try:
            request = changes.read_request(path)
        except UserError:
            if path.exists():
                raise
            continue  # the run has just accepted it
        begin = "the next step" if request.at_step is None else f"step {request.at_step}"
        print(f"waiting, from {begin}: {_format_values(request.values)}")


def _parse_assignments(words: Sequence[str]) -> dict[str, str]:
    """Parse arguments of the form NAME=VALUE.

    Returns:
      Values as text, by name.

    Raises:
      UserError: an argument has another form, or a name occurs twice.
    """
    values: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise UserError(f"{word!r} is not of the form NAME=VALUE, such as lr=0.5")
        if name in values:
            raise UserError(f"{name} is given twice: give it once")
        values[name] = text
    return values


def _check_step(at_step: int | None, step: int, steps: int) -> None:
    """Check that a change can take effect at update `at_step`.

    Args:
      at_step: number of the update, from 0. None is always valid.
      step: current step of the run.
      steps: number of updates of the whole run.

    Raises:
      UserError: update `at_step` is in the past, or after the end of the run.
    """
    if at_step is not None and not step <= at_step < steps:
        raise UserError(
            f"--at_step={at_step}: the run is at step {step} and ends at {steps}; choose a step between, or omit it"
        )


def _last_step(workdir: Path) -> int:
    """Return the step in the last line of the run's log; 0 if nothing is logged yet."""
    path = workdir / "metrics.jsonl"
    if not path.is_file():
        return 0
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))
        lines = file.read().split(b"\n")
    for line in reversed(lines[:-1]):
        try:
            return int(parse_json(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def _table(live_values: Mapping[str, "LiveValue"], history: Sequence["Change"], step: int) -> str:
    """Format the live values of a run (settings that may be changed while training runs) as a table.

    Each row shows a name, the value from the config, and the value set by the user, if any. Both values are those at
    `step`.

    Args:
      live_values: live values by name.
      history: changes by the user, in the order in which the run accepted them.
      step: current step of the run.
    """
    import numpy as np

    from specjax.engine.live.changes import find_value

    rows = [f"{f'step {step}':<18}{'config':>24}  changed to"]
    for name, live_value in live_values.items():
        configured = np.asarray(live_value.schedule(np.float32(step)))
        members = ",".join(map(str, np.flatnonzero(configured)))
        shown = members if configured.ndim else f"{float(configured):.4g}"
        changed = find_value(history, name, step)
        prefix = "times " if live_value.scales and changed else ""
        rows.append(f"{name:<18}{shown:>24}  {prefix}{changed or ''}".rstrip())
    return "\n".join(rows)


def _format_values(values: Mapping[str, str]) -> str:
    """Format new values as a user types them: NAME=VALUE, separated by spaces."""
    return " ".join(f"{name}={text}" for name, text in values.items())


if __name__ == "__main__":
    app.run(main)
