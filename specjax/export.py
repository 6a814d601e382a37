"""python -m specjax.export --workdir=runs/unet --out=bundles/unet

Writes what a run has learnt as a bundle: safetensors and a JSON card, to be opened with no data set on any device.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from specjax import cli
from specjax.errors import Refusal

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run")
OUT = flags.DEFINE_string("out", None, "folder to make")


def main(argv: Sequence[str]) -> None:
    del argv
    if WORKDIR.value is None or OUT.value is None:
        raise Refusal("--workdir=RUN and --out=BUNDLE are both needed")
    if Path(OUT.value).exists():
        raise Refusal(f"{OUT.value} exists already: remove it or choose another --out")
    print("specjax export: starting", file=sys.stderr, flush=True)
    import jax

    import specjax
    from specjax.engine import bundle, mesh
    from specjax.runs import open_run

    _, task, run, _ = open_run(Path(WORKDIR.value))
    parts = task.parts(mesh.to_host(run.state))
    about = {"step": int(run.step), "specjax": specjax.__version__, "jax": jax.__version__}
    bundle.save(Path(OUT.value), task.name, parts, about)
    print(OUT.value)


if __name__ == "__main__":
    cli.run(main)
