"""python -m specjax.evaluate --workdir=runs/unet [--data=DIR] [--examples=N]

Measures the newest checkpoint on held-out examples. The last line of stdout is one JSON object.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from specjax.cli import app
from specjax.cli.errors import UserError

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
DATA = flags.DEFINE_string("data", None, "other data to measure on, as config.data.source")
EXAMPLES = flags.DEFINE_integer("examples", 0, "how many held-out examples to measure; 0 means all", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    del argv
    if WORKDIR.value is None:
        raise UserError("--workdir is missing: name the folder of a run")
    print("specjax evaluate: starting", file=sys.stderr, flush=True)
    import jax

    app.use_compilation_cache()
    from specjax.engine import loop, sharding
    from specjax.papers import open_run

    config, task, run = open_run(Path(WORKDIR.value), data=DATA.value)
    device_mesh = sharding.make_mesh()
    _, held_out = task.load()
    count = len(jax.tree.leaves(held_out)[0])
    if not count:
        raise UserError("no examples are held out: set --config.data.held_out when training, or name other --data")
    measure = jax.jit(task.evaluate, out_shardings=sharding.replicated_sharding(device_mesh))
    chosen = loop.take(held_out, EXAMPLES.value)
    summary = loop.evaluate(task, measure, run.state, chosen, mesh=device_mesh, batch=config.eval_batch)
    print(json.dumps({"step": int(run.step), **summary}))


if __name__ == "__main__":
    app.run(main)
