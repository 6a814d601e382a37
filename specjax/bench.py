"""python -m specjax.bench --config=unet [--peers_dir=DIR] [--repeats=5]

Times what a config does, on the machine at hand: making targets, the train step, and synthesis. One JSON line a work,
then a table. With --peers_dir, programs that do the same work in PyTorch or SciPy run in the same turns, each printing
one JSON line of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from ml_collections import config_flags

from specjax import cli
from specjax.errors import Refusal

CONFIG = config_flags.DEFINE_config_file("config", None, "name, name:variant or path of a config", lock_config=True)
REPEATS = flags.DEFINE_integer("repeats", 5, "timed calls a work, after one that warms up", lower_bound=1)
PEERS = flags.DEFINE_string("peers_dir", None, "folder of peer programs to run beside")

# Work -> programs of the peers' folder that do it: the plain one first, then the best.
PEER_PROGRAMS = {
    "targets": [
        ["chord_targets.py", "--batch", "8", "--variant", "scipy", "--steps", "3"],
        ["chord_targets.py", "--batch", "8", "--variant", "fused", "--compile"],
    ],
    "step": [
        ["unet_step.py", "--net", "authors", "--batch", "2", "--variant", "torch"],
        ["unet_step.py", "--net", "authors", "--batch", "2", "--variant", "commuted", "--compile"],
    ],
    "sound": [
        ["chord_audio.py", "--batch", "4", "--sr", "44100", "--variant", "numpy", "--steps", "3"],
        ["chord_audio.py", "--batch", "4", "--sr", "44100", "--variant", "rotate"],
    ],
}


class Work(NamedTuple):
    """Something to time: a call without arguments, and how many items it makes."""

    call: Callable[[], Any]
    items: int
    compile_s: float


def main(argv: Sequence[str]) -> None:
    del argv
    if CONFIG.value is None:
        raise Refusal("--config is missing: say --config=unet")
    if PEERS.value is not None and not Path(PEERS.value).is_dir():
        raise Refusal(f"--peers_dir={PEERS.value} is not a folder")
    print("specjax bench: starting", file=sys.stderr, flush=True)
    cli.use_compilation_cache()
    peers = Path(PEERS.value) if PEERS.value else None
    rows = []
    works = chord_works(CONFIG.value.to_dict())
    for name, work in works.items():
        row = measure(name, work, REPEATS.value)
        rows.append(row)
        print(json.dumps(row), flush=True)
        if peers is not None:
            for program in PEER_PROGRAMS[name]:
                rows.append(run_peer(name, peers, program))
                print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


def chord_works(values: dict[str, Any]) -> dict[str, Work]:
    """Targets, train step and synthesis of a chord config, compiled."""
    import jax
    import jax.numpy as jnp

    from specjax import wings
    from specjax.chord import conditioning
    from specjax.chord.task import ChordTask
    from specjax.engine import loop, mesh
    from specjax.engine.knobs import KnobValues
    from specjax.signal import oscillators

    clock, task = wings.build(values)
    assert isinstance(task, ChordTask)
    config = task.config
    batch = clock.batch_size
    device_mesh = mesh.make_mesh()
    mesh.check_batch(device_mesh, batch)
    train, _ = task.load()
    examples = mesh.replicate(train, device_mesh)

    def compiled(function: Callable, *args: Any) -> tuple[Callable, float]:
        begin = time.perf_counter()
        ready = jax.jit(function).lower(*args).compile()
        return ready, time.perf_counter() - begin

    digit = jnp.asarray(train.image[:batch], jnp.float32) / 255.0
    label, quality = jnp.asarray(train.label[:batch]), jnp.zeros((batch,), jnp.int32)
    keys = jax.random.split(jax.random.key(0), batch)
    make_targets, targets_s = compiled(
        lambda *a: conditioning.targets(task.compared, config.conditioning, *a), digit, label, quality, keys
    )

    per_dispatch = clock.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 32)
    init = jax.jit(lambda key: loop.Run(jnp.zeros((), jnp.int32), task.init(key)),
                   out_shardings=mesh.replicated(device_mesh))  # fmt: skip
    holder = [init(jax.random.key(0))]
    begin = time.perf_counter()
    knobs = KnobValues(task.knobs, device_mesh)(0, per_dispatch)
    dispatch = loop.compile_dispatch(task, clock, device_mesh, holder[0], examples, knobs)
    step_s = time.perf_counter() - begin

    def step() -> Any:
        holder[0], metrics = dispatch(holder[0], examples, knobs)  # the state's buffers are donated
        return metrics

    sounds = 4
    rng = np.random.default_rng(0)
    size = config.conditioning.size
    pictures = jnp.asarray(rng.random((sounds, size, size)), jnp.float32)  # dense: no row may be skipped
    phases = jnp.asarray(rng.uniform(0, 2 * np.pi, (sounds, size)), jnp.float32)
    increment = jnp.asarray(oscillators.phase_increment(np.arange(size, dtype=float), 44100))
    make_sound, sound_s = compiled(
        jax.vmap(lambda a, p: oscillators.additive_synthesis(a, increment, p, 44100)), pictures, phases
    )
    return {
        "targets": Work(lambda: make_targets(digit, label, quality, keys), batch, targets_s),
        "step": Work(step, batch * per_dispatch, step_s),
        "sound": Work(lambda: make_sound(pictures, phases), sounds, sound_s),
    }


def measure(name: str, work: Work, repeats: int) -> dict[str, Any]:
    """Median and least milliseconds of a call that waits for its result."""
    import jax

    jax.block_until_ready(work.call())
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(work.call())
        times.append(1e3 * (time.perf_counter() - begin))
    median = statistics.median(times)
    return {
        "peer": "specjax",
        "work": name,
        "batch": work.items,
        "ms_per_step": round(median, 3),
        "ms_min": round(min(times), 3),
        "items_per_s": round(1e3 * work.items / median, 2),
        "compile_s": round(work.compile_s, 2),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def run_peer(work: str, folder: Path, program: Sequence[str]) -> dict[str, Any]:
    """The JSON line that a peer program prints; a row that says why where it does not."""
    command = [sys.executable, str(folder / program[0]), *program[1:]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, env=_quiet())
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    row = json.loads(lines[-1]) if lines else {"peer": program[0], "error": done.stderr.strip()[-200:]}
    return row | {"work": work}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Items a second of each program, and how many times specjax's they are."""
    ours = {row["work"]: row["items_per_s"] for row in rows if row["peer"] == "specjax"}
    lines = [f"{'work':<10}{'program':<24}{'batch':>6}{'ms/call':>12}{'items/s':>12}{'specjax is':>14}"]
    for row in rows:
        if "error" in row:
            lines.append(f"{row['work']:<10}{row['peer']:<24}did not run: {row['error']}")
            continue
        ratio = "" if row["peer"] == "specjax" else f"{ours[row['work']] / row['items_per_s']:.1f} x"
        lines.append(
            f"{row['work']:<10}{row['peer']:<24}{row['batch']:>6}{row['ms_per_step']:>12.1f}"
            f"{row['items_per_s']:>12.1f}{ratio:>14}"
        )
    return "\n".join(lines)


def _quiet() -> dict[str, str]:
    return os.environ | {"PYTHONWARNINGS": "ignore"}


if __name__ == "__main__":
    cli.run(main)
