"""python -m specjax.export --workdir=runs/unet --out=bundles/unet

Exports the newest intact checkpoint of a run as a bundle for inference: a folder of safetensors files and a JSON file.
Opening a bundle needs neither the run nor its data, and works on any device.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
OUT = flags.DEFINE_string("out", None, "folder of the bundle, which must not exist yet")


def main(argv: Sequence[str]) -> None:
    del argv
    if WORKDIR.value is None or OUT.value is None:
        raise UserError("--workdir or --out is missing: name the folder of a run and that of the bundle")
    workdir, out = local_path(WORKDIR.value, "--workdir"), local_path(OUT.value, "--out")
    if out.exists():
        raise UserError(f"--out={out} exists already: remove it or choose another")
    print("specjax export: starting", file=sys.stderr, flush=True)
    app.leave_promptly()
    from specjax.engine import bundle, sharding
    from specjax.papers import open_run

    _, task, run, metadata = open_run(workdir)
    parts = task.parts(sharding.to_host(run.state), task.frozen())
    bundle.save(out, task.name, parts, _describe(workdir, int(run.step), metadata))
    print(out)


def _describe(workdir: Path, step: int, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the model of a run was made, for the card of its bundle.

    Args:
      workdir: working directory of the run.
      step: number of updates that it has made.
      metadata: metadata of its checkpoint.
    """
    import jax

    import specjax
    from specjax.engine.live.changes import read_history
    from specjax.engine.resume import EXAMPLES, FROZEN

    return {
        "step": step,
        "specjax": specjax.__version__,
        "jax": jax.__version__,
        "training": {name: value for name, value in metadata.items() if name not in (EXAMPLES, FROZEN)},
        "live_values": [{"step": c.step, "values": c.values} for c in read_history(workdir) if c.step < step],
    }


if __name__ == "__main__":
    app.run(main)
