"""python -m specjax.export --workdir=runs/unet --out=bundles/unet

Writes what a run has learnt as a bundle: safetensors and a JSON card, to be opened with no data set on any device.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from specjax.cli import app
from specjax.cli.errors import UserError

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
OUT = flags.DEFINE_string("out", None, "folder to make")


def main(argv: Sequence[str]) -> None:
    del argv
    if WORKDIR.value is None or OUT.value is None:
        raise UserError("--workdir=RUN and --out=BUNDLE are both needed")
    if Path(OUT.value).exists():
        raise UserError(f"{OUT.value} exists already: remove it or choose another --out")
    print("specjax export: starting", file=sys.stderr, flush=True)
    import jax

    import specjax
    from specjax.engine import bundle, sharding
    from specjax.papers import open_run

    _, task, run = open_run(Path(WORKDIR.value))
    parts = task.parts(sharding.to_host(run.state))
    about = {"step": int(run.step), "specjax": specjax.__version__, "jax": jax.__version__}
    bundle.save(Path(OUT.value), task.name, parts, about)
    print(OUT.value)


if __name__ == "__main__":
    app.run(main)
