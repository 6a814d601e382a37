"""python -m specjax.export --workdir=runs/unet --out=bundles/unet

Exports the newest intact checkpoint of a run as a bundle for inference: a folder of safetensors files and a JSON file.
Opening a bundle needs neither the run nor its data, and works on any device.
"""

import sys
from collections.abc import Sequence

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
    import jax

    import specjax
    from specjax.engine import bundle, sharding
    from specjax.papers import open_run

    _, task, run = open_run(workdir)
    parts = task.parts(sharding.to_host(run.state), task.frozen())
    metadata = {"step": int(run.step), "specjax": specjax.__version__, "jax": jax.__version__}
    bundle.save(out, task.name, parts, metadata)
    print(out)


if __name__ == "__main__":
    app.run(main)
