"""python -m specjax.bench --config=unet [--peers] [--peers_dir=DIR] [--benchmarks=targets,step] [--sweep=batch:1,2,4,8]

Times the works of a config on the machine at hand. Every program, ours or a peer's, is a process of its own that prints
one JSON line, and all take turns for a few rounds: ratios are within a round, so that a busy moment meets both sides.
Then a table, and with --plot=FILE.png a picture. --peers adds plain SciPy and PyTorch programs of the same works
(`pip install specjax[peers]`), --peers_dir a folder of tuned ones.

    python -m specjax.bench --config=unet --benchmarks=step --sweep=batch:8,24,64
    python -m specjax.bench --config=unet --benchmarks=step --devices=1,2
    python -m specjax.bench --config=signal --peers
"""

import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags
from ml_collections import config_flags

from specjax import papers
from specjax.benchmark.report import Program, merge, plot, table, take_turns
from specjax.benchmark.timing import Info
from specjax.cli import app
from specjax.cli.errors import UserError

CONFIG = config_flags.DEFINE_config_file("config", None, "name, name:variant or path of a config", lock_config=True)
BENCHMARKS = flags.DEFINE_list("benchmarks", [], "what to time; the config's defaults if not given")
ROUNDS = flags.DEFINE_integer("rounds", 3, "turns that every program takes", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 5, "timed calls a turn, after one that warms up", lower_bound=1)
BATCH = flags.DEFINE_integer("batch", 0, "items a call; 0 leaves it to the work", lower_bound=0)
PEERS = flags.DEFINE_bool("peers", False, "run the plain peers of the same works beside")
PEERS_DIR = flags.DEFINE_string("peers_dir", None, "folder of tuned peers to run beside")
SWEEP = flags.DEFINE_string("sweep", "", "batch:N,N,... or steps_per_dispatch:N,N,... to try one after the other")
DEVICES = flags.DEFINE_list("devices", [], "numbers of CPU devices to try; by default one")
PLOT = flags.DEFINE_string("plot", None, "PNG to draw the table into")
ONLY = flags.DEFINE_string("only", None, "time this one work in this process and print its line")

CHECKOUT = Path(__file__).parent.parent


def main(argv: Sequence[str]) -> None:
    del argv
    if CONFIG.value is None:
        raise UserError("--config is missing: say --config=unet")
    if ONLY.value is not None:
        print(json.dumps(measure(ONLY.value)))
        return
    _check_peers()
    _check_plot()
    programs = _programs()
    print(f"specjax bench: {len(programs)} programs, {ROUNDS.value} rounds", file=sys.stderr, flush=True)
    turns = take_turns(programs, ROUNDS.value)
    for rows in turns:
        print(json.dumps(merge(rows)))
    print(table(programs, turns))
    if PLOT.value:
        plot(programs, turns, Path(PLOT.value))
    if failed := [program for program, rows in zip(programs, turns, strict=True) if "error" in merge(rows)]:
        raise UserError(f"{len(failed)} of {len(programs)} programs did not run, the first {failed[0].name}: see above")


def measure(name: str) -> dict[str, Any]:
    """The row of one work, timed here and now."""
    import resource

    import jax

    app.use_compilation_cache()
    from specjax.benchmark import roofline

    known = _module().INFO
    if name not in known:
        raise UserError(f"--only={name} is unknown: choose from {', '.join(known)}")
    benchmark = _module().build(name, CONFIG.value.to_dict(), BATCH.value or known[name].batch)
    result = jax.block_until_ready(benchmark.call())
    times = []
    for _ in range(REPEATS.value):
        begin = time.perf_counter()
        jax.block_until_ready(benchmark.call())
        times.append(time.perf_counter() - begin)
    median, device = statistics.median(times), jax.devices()[0]
    memory = device.memory_stats() or {}
    peak = memory.get("peak_bytes_in_use", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    machine = roofline.measure()  # last, for its memory is not the work's
    row = {
        "batch": benchmark.items,
        "ms_per_step": round(1e3 * median, 3),
        "ms_min": round(1e3 * min(times), 3),
        "items_per_s": round(benchmark.items / median, 4),
        "peak_mem_mb": round(peak / 2**20, 1),
        "compile_s": round(benchmark.compile_s, 2),
        "gflop_least": round(benchmark.flops / 1e9, 4),
        "gflop_compiled": round(benchmark.compiled_flops / 1e9, 4),
        "mb_least": round(benchmark.moved / 1e6, 3),
        "mb_compiled": round(benchmark.compiled_bytes / 1e6, 3),
        "machine_gflop_per_s": round(machine.flops_per_s / 1e9, 1),
        "machine_gb_per_s": round(machine.bytes_per_s / 1e9, 1),
        "share_of_floor": round(machine.seconds(benchmark.flops, benchmark.moved) / median, 4),
        "steps": REPEATS.value,
        "audio_s_per_s": round(benchmark.items * benchmark.audio_s / median, 2),
        "convergence_db": round(benchmark.convergence_db(result), 2) if benchmark.convergence_db else math.nan,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "jax": jax.__version__,
    }
    return {name: value for name, value in row.items() if isinstance(value, str) or math.isfinite(value)}


def _module() -> ModuleType:
    """The `benchmarks` module of the config's paper."""
    paper = CONFIG.value.get("task", "").partition("/")[0]
    module = papers.module(paper, "benchmarks") if paper in papers.PAPERS else None
    if module is None:
        raise UserError(f"config.task={CONFIG.value.get('task')!r} has no benchmarks: choose a config that has")
    return module


def _programs() -> list[Program]:
    """Our program for each benchmark and each swept value, followed by its peers."""
    known = _module().INFO
    names = BENCHMARKS.value or [name for name, info in known.items() if info.default]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"--benchmarks={unknown[0]} is unknown: choose from {', '.join(known)}")
    parameter, values = _sweep()
    if parameter == "steps_per_dispatch" and parameter not in CONFIG.value:
        raise UserError(f"--sweep={SWEEP.value}: this config has no {parameter}")
    counts = _counts(DEVICES.value, "--devices") or [0]
    programs = []
    for name in names:
        peers = _peers(known[name])
        for value in values:
            label = f"{name} x {value}" if parameter == "batch" else name
            batch = value if parameter == "batch" else BATCH.value or known[name].batch
            extra = [f"--batch={value}"] if parameter == "batch" else []
            if parameter == "steps_per_dispatch":
                extra = [f"--config.{parameter}={value}"]
            for count in counts:
                ours = f"specjax {extra[0].split('.')[-1]}" if parameter == "steps_per_dispatch" else "specjax"
                ours += f" devices={count}" if count else ""
                environment = {"JAX_NUM_CPU_DEVICES": str(count)} if count else {}
                command = [sys.executable, "-m", "specjax.bench", *sys.argv[1:], f"--only={name}", *extra]
                programs.append(Program(label, ours, command, None, environment))
            programs += [
                Program(label, peer, [*command, f"--batch={batch}"], folder) for peer, command, folder in peers
            ]
    return programs


def _peers(info: Info) -> list[tuple[str, list[str], Path | None]]:
    """Name, command and folder of the peers of one benchmark."""
    peers: list[tuple[str, list[str], Path | None]] = []
    if PEERS.value and info.plain:
        library, module, *words = info.plain
        command = [sys.executable, "-m", f"benchmarks.peers.{module}", *words, f"--repeats={min(REPEATS.value, 3)}"]
        peers.append((f"plain {library}", command, CHECKOUT))
    if PEERS_DIR.value is not None and info.tuned:
        peers.append(("tuned", [sys.executable, *info.tuned], Path(PEERS_DIR.value)))
    return peers


def _check_peers() -> None:
    if PEERS.value:
        if not (CHECKOUT / "benchmarks" / "peers").is_dir():
            raise UserError("--peers needs the folder benchmarks/peers of a source checkout, which is not installed")
        if missing := [name for name in ("torch", "scipy", "pytorch_msssim") if not importlib.util.find_spec(name)]:
            raise UserError(f"--peers needs {', '.join(missing)}: pip install 'specjax[peers]'")
    if PEERS_DIR.value is not None and not Path(PEERS_DIR.value).is_dir():
        raise UserError(f"--peers_dir={PEERS_DIR.value} is not a folder")


def _sweep() -> tuple[str, list[int]]:
    if not SWEEP.value:
        return "", [0]
    parameter, _, numbers = SWEEP.value.partition(":")
    if parameter not in ("batch", "steps_per_dispatch") or not numbers:
        raise UserError(f"--sweep={SWEEP.value} must be batch:N,N,... or steps_per_dispatch:N,N,...")
    return parameter, _counts(numbers.split(","), "--sweep")


def _counts(words: Sequence[str], flag: str) -> list[int]:
    if not all(word.isdecimal() and int(word) for word in words):
        raise UserError(f"{flag}={','.join(words)}: numbers from 1 up are expected")
    return [int(word) for word in words]


def _check_plot() -> None:
    if PLOT.value is None:
        return
    app.require_package("matplotlib", "--plot", extra="plots")
    if not PLOT.value.endswith(".png") or not Path(PLOT.value).absolute().parent.is_dir():
        raise UserError(f"--plot={PLOT.value} must be a .png in a folder that exists")


if __name__ == "__main__":
    app.run(main)
