"""python -m specjax.evaluate --workdir=runs/unet [--data=DIR] [--examples=N]

Evaluates the newest intact checkpoint of a run on held-out examples. The last line of stdout is a JSON object with the
metrics.
"""

import json
import sys
from collections.abc import Sequence

from absl import flags

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.cli.paths import check_local, local_path

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
DATA = flags.DEFINE_string("data", None, "measure on other data than config.data.source, given in the same form")
EXAMPLES = flags.DEFINE_integer("examples", 0, "number of held-out examples to measure; 0 means all", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    del argv
    if WORKDIR.value is None:
        raise UserError("--workdir is missing: name the folder of a run")
    workdir = local_path(WORKDIR.value, "--workdir")
    if DATA.value is not None:
        check_local(DATA.value, "--data")  # The task expands it, since it may be a name such as tfds:mnist.
    print("specjax evaluate: starting", file=sys.stderr, flush=True)
    app.use_compilation_cache()
    from specjax.engine import program
    from specjax.papers import open_run

    config, task, run, _ = open_run(workdir, data=DATA.value)
    data, mesh = task.load(), program.mesh_of(task)
    if not data.held_out_count:
        raise UserError(
            "no examples are held out: set --config.data.held_out when training, or name other data with --data"
        )
    inputs = program.place(data.held_out, task.frozen(), task, mesh)
    summary = program.evaluate(
        task,
        program.compile_measures(task, mesh),
        run.state,
        inputs,
        program.choose_held_out(data, EXAMPLES.value),
        mesh=mesh,
        batch=config.eval_batch,
        seed=config.seed,
    )
    print(json.dumps({"step": int(run.step), **summary}))


if __name__ == "__main__":
    app.run(main)
