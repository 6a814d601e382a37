"""python -m specjax.bench --config=unet [--peers] [--peers_dir=DIR] [--benchmarks=targets,step] [--sweep=batch:1,2,4,8]

Runs the benchmarks of a config on this machine. Each benchmark times a program of specjax and, on request, its peers:
programs that compute the same with other libraries. --peers adds plain peers in NumPy, SciPy, PyTorch or librosa
(`pip install specjax[peers]`), and --peers_dir=DIR adds tuned peers from a folder.

Every program runs in a process of its own. The programs run in turn for several rounds, and speedups are computed
within each round, so that a busy phase of the machine affects all programs alike. The results are printed as one JSON
line per program and as a table. --plot=FILE.png also plots them.

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
from specjax.benchmark.report import Program, format_table, merge, save_plot, take_turns
from specjax.benchmark.timing import Info
from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path

CONFIG = config_flags.DEFINE_config_file("config", None, "name, name:variant or path of a config", lock_config=True)
BENCHMARKS = flags.DEFINE_list("benchmarks", [], "benchmarks to run; by default those of the config")
ROUNDS = flags.DEFINE_integer("rounds", 3, "number of times that every program runs", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 5, "timed calls per round, after one warm-up call", lower_bound=1)
BATCH = flags.DEFINE_integer("batch", 0, "items per call; 0: the default of the benchmark", lower_bound=0)
PEERS = flags.DEFINE_bool("peers", False, "also run the plain peers of the benchmarks")
PEERS_DIR = flags.DEFINE_string("peers_dir", None, "also run the tuned peers in this folder")
SWEEP = flags.DEFINE_string("sweep", "", "batch:N,N,... or steps_per_dispatch:N,N,...: values to run one after another")
DEVICES = flags.DEFINE_list("devices", [], "numbers of CPU devices to run with; by default one")
PLOT = flags.DEFINE_string("plot", None, "PNG file to plot the results in")
ONLY = flags.DEFINE_string("only", None, "run this one benchmark in this process and print its JSON line")

CHECKOUT = Path(__file__).parent.parent  # root of the source checkout


def main(argv: Sequence[str]) -> None:
    del argv
    if CONFIG.value is None:
        raise UserError("--config is missing: for example --config=unet")
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
    print(format_table(programs, turns))
    if PLOT.value:
        save_plot(programs, turns, local_path(PLOT.value, "--plot", "file"))
    if failed := [program for program, rows in zip(programs, turns, strict=True) if "error" in merge(rows)]:
        raise UserError(f"{len(failed)} of {len(programs)} programs did not run, first {failed[0].name}: see the table")


def measure(name: str) -> dict[str, Any]:
    """Run one benchmark in this process.

    Args:
      name: name of the benchmark. The `task` in the config, such as `chord/unet`, selects the paper (`chord`) whose
        benchmarks can be run.

    Returns:
      Results by name, such as `ms_per_step` (median time of a call), `peak_mem_mb` and `device`. Results that are not
      finite are left out.

    Raises:
      UserError: there is no benchmark of this name, or the benchmark cannot be built.
    """
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
    machine = roofline.measure()  # Last, so that `peak` does not include its memory.
    row = {
        "batch": benchmark.items,
        "ms_per_step": round(1e3 * median, 3),
        "ms_min": round(1e3 * min(times), 3),
        "items_per_s": round(benchmark.items / median, 4),
        "peak_mem_mb": round(peak / 2**20, 1),
        "compile_s": round(benchmark.compile_s, 2),
        "gflop_least": round(benchmark.flops / 1e9, 4),
        "gflop_compiled": round(benchmark.compiled_flops / 1e9, 4),
        "mb_least": round(benchmark.bytes_moved / 1e6, 3),
        "mb_compiled": round(benchmark.compiled_bytes / 1e6, 3),
        "machine_gflop_per_s": round(machine.flops_per_s / 1e9, 1),
        "machine_gb_per_s": round(machine.bytes_per_s / 1e9, 1),
        "share_of_roofline": round(machine.seconds(benchmark.flops, benchmark.bytes_moved) / median, 4),
        "steps": REPEATS.value,
        "audio_s_per_s": round(benchmark.items * benchmark.audio_s / median, 2),
        "convergence_db": round(benchmark.convergence_db(result), 2) if benchmark.convergence_db else math.nan,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "jax": jax.__version__,
    }
    return {name: value for name, value in row.items() if isinstance(value, str) or math.isfinite(value)}


def _module() -> ModuleType:
    """Import the module that defines the benchmarks for the config.

    The `task` in the config, such as `chord/unet`, begins with the name of a subpackage of `specjax.papers`. The result
    is the module `benchmarks` of that subpackage.

    Raises:
      UserError: the subpackage does not exist or has no benchmarks.
    """
    paper = CONFIG.value.get("task", "").partition("/")[0]
    module = papers.module(paper, "benchmarks") if paper in papers.PAPERS else None
    if module is None:
        task = CONFIG.value.get("task")
        raise UserError(
            f"config.task={task!r} has no benchmarks: choose a config that has some, such as unet or signal"
        )
    return module


def _programs() -> list[Program]:
    """List the programs to run and time.

    The list is grouped by benchmark, and then by the values of the option `--sweep`. A group begins with specjax, once
    for each number of devices in `--devices`. The peers follow: programs that do the same computation without specjax.

    Raises:
      UserError: a benchmark is unknown, or an option is invalid.
    """
    known = _module().INFO
    names = BENCHMARKS.value or [name for name, info in known.items() if info.default]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"--benchmarks={unknown[0]} is unknown: choose from {', '.join(known)}")
    parameter, values = _parse_sweep()
    if parameter == "steps_per_dispatch" and parameter not in CONFIG.value:
        raise UserError(f"--sweep={SWEEP.value}: this config has no {parameter}, choose a config that is trained")
    counts = _parse_counts(DEVICES.value, "--devices") or [0]
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
    """List the peers to run for a benchmark; a peer is a program that does the same computation without specjax.

    Args:
      info: description of the benchmark.

    Returns:
      Name and command line of each peer, and the folder in which to run it.
    """
    peers: list[tuple[str, list[str], Path | None]] = []
    if PEERS.value and info.plain:
        library, module, *arguments = info.plain
        command = [sys.executable, "-m", f"benchmarks.peers.{module}", *arguments, f"--repeats={min(REPEATS.value, 3)}"]
        peers.append((f"plain {library}", command, CHECKOUT))
    if PEERS_DIR.value is not None and info.tuned:
        peers.append(("tuned", [sys.executable, *info.tuned], local_path(PEERS_DIR.value, "--peers_dir")))
    return peers


def _check_peers() -> None:
    """Check that the peers (programs to compare with) selected by `--peers` and `--peers_dir` can run.

    Raises:
      UserError: their folder or a library that they need is missing.
    """
    if PEERS.value:
        if not (CHECKOUT / "benchmarks" / "peers").is_dir():
            raise UserError("--peers needs the folder benchmarks/peers of a source checkout, which is not installed")
        if missing := [name for name in ("torch", "scipy", "pytorch_msssim") if not importlib.util.find_spec(name)]:
            raise UserError(f"--peers needs {', '.join(missing)}: pip install 'specjax[peers]'")
    if PEERS_DIR.value is not None and not local_path(PEERS_DIR.value, "--peers_dir").is_dir():
        raise UserError(f"--peers_dir={PEERS_DIR.value} is not a folder: name the folder of the tuned peers")


def _parse_sweep() -> tuple[str, list[int]]:
    """Parse the option `--sweep`.

    Returns:
      Name and values of the parameter to vary; "" and [0] if the option is not given.

    Raises:
      UserError: the option is malformed.
    """
    if not SWEEP.value:
        return "", [0]
    parameter, _, numbers = SWEEP.value.partition(":")
    if parameter not in ("batch", "steps_per_dispatch") or not numbers:
        raise UserError(f"--sweep={SWEEP.value} must be batch:N,N,... or steps_per_dispatch:N,N,...")
    return parameter, _parse_counts(numbers.split(","), "--sweep")


def _parse_counts(values: Sequence[str], flag: str) -> list[int]:
    """Parse integers of at least 1.

    Args:
      values: integers as text.
      flag: option that gave the values, for error messages.

    Raises:
      UserError: a value is not an integer of at least 1.
    """
    if not all(value.isdecimal() and int(value) for value in values):
        raise UserError(f"{flag}={','.join(values)}: numbers from 1 up are expected")
    return [int(value) for value in values]


def _check_plot() -> None:
    """Check that the plot can be saved, if `--plot` is given.

    Raises:
      UserError: the value of `--plot` is not a `.png` file in an existing folder.
    """
    if PLOT.value is None:
        return
    path = local_path(PLOT.value, "--plot", "file")
    if not PLOT.value.endswith(".png") or not path.absolute().parent.is_dir():
        raise UserError(f"--plot={PLOT.value} must be a .png in a folder that exists")


if __name__ == "__main__":
    app.run(main)
