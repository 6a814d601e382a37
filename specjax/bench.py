"""python -m specjax.bench --config=unet [--peers] [--peers_dir=DIR] [--works=targets,step] [--sweep=batch:1,2,4,8]

Times the works of a config on the machine at hand. Every program, ours or a peer's, is a process of its own that prints
one JSON line, and all take turns for a few rounds: ratios are within a round, so that a busy moment meets both sides.
Then a table, and with --plot=FILE.png a picture. --peers adds plain SciPy and PyTorch programs of the same works
(`pip install specjax[peers]`), --peers_dir a folder of tuned ones.

    python -m specjax.bench --config=unet --works=step --sweep=batch:8,24,64
    python -m specjax.bench --config=unet --works=step --devices=1,2
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
from typing import Any

from absl import flags
from ml_collections import config_flags

from specjax import cli
from specjax.benchmark.report import Program, merge, plot, table, take_turns
from specjax.errors import Refusal

CONFIG = config_flags.DEFINE_config_file("config", None, "name, name:variant or path of a config", lock_config=True)
WORKS = flags.DEFINE_list("works", [], "works to time; those of the config by default")
ROUNDS = flags.DEFINE_integer("rounds", 3, "turns that every program takes", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 5, "timed calls a turn, after one that warms up", lower_bound=1)
BATCH = flags.DEFINE_integer("batch", 0, "items a call; 0 leaves it to the work", lower_bound=0)
PEERS = flags.DEFINE_bool("peers", False, "run the plain peers of the same works beside")
PEERS_DIR = flags.DEFINE_string("peers_dir", None, "folder of tuned peers to run beside")
SWEEP = flags.DEFINE_string("sweep", "", "batch:N,N,... or steps_per_dispatch:N,N,... to try one after the other")
DEVICES = flags.DEFINE_list("devices", [], "numbers of CPU devices to try; by default one")
PLOT = flags.DEFINE_string("plot", None, "PNG to draw the table into")
ONLY = flags.DEFINE_string("only", None, "time this one work in this process and print its line")

PLAIN = {
    "targets": ("scipy", ["chord_targets"]),
    "step_paper_ms_ssim": ("pytorch", ["chord_unet"]),
    "sound": ("numpy", ["chord_sound"]),
    "mel": ("librosa", ["signal_mel"]),
    "mel_100": ("librosa", ["signal_mel"]),
    **{work: ("librosa", ["signal_phase", work]) for work in ("stft", "istft", "griffin_lim", "invert")},
}
TUNED = {
    "targets": ["chord_targets.py", "--variant", "fused", "--compile"],
    "step_paper_ms_ssim": ["unet_step.py", "--net", "authors", "--variant", "commuted", "--compile"],
    "mel": ["melody_mel.py", "--variant", "torch", "--log", "--compile"],
    "mel_100": ["melody_mel.py", "--variant", "torch", "--log", "--compile"],
    "griffin_lim": ["griffin_lim.py", "--variant", "tuned", "--compile"],
    "sound": ["chord_audio.py", "--sr", "44100", "--variant", "rotate"],
}


def main(argv: Sequence[str]) -> None:
    del argv
    if CONFIG.value is None:
        raise Refusal("--config is missing: say --config=unet")
    if ONLY.value is not None:
        print(json.dumps(measure(ONLY.value)))
        return
    programs = _programs()
    _check_plot()
    print(f"specjax bench: {len(programs)} programs, {ROUNDS.value} rounds", file=sys.stderr, flush=True)
    turns = take_turns(programs, ROUNDS.value)
    for rows in turns:
        print(json.dumps(merge(rows)))
    print(table(programs, turns))
    if PLOT.value:
        plot(programs, turns, Path(PLOT.value))
    if failed := [program for program, rows in zip(programs, turns, strict=True) if "error" in merge(rows)]:
        raise Refusal(f"{len(failed)} of {len(programs)} programs did not run, the first {failed[0].name}: see above")


def measure(name: str) -> dict[str, Any]:
    """The row of one work, timed here and now."""
    import resource

    import jax

    cli.use_compilation_cache()
    from specjax.benchmark import floor

    work = _work(name)
    result = jax.block_until_ready(work.call())
    times = []
    for _ in range(REPEATS.value):
        begin = time.perf_counter()
        jax.block_until_ready(work.call())
        times.append(time.perf_counter() - begin)
    median, device = statistics.median(times), jax.devices()[0]
    memory = device.memory_stats() or {}
    peak = memory.get("peak_bytes_in_use", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    machine = floor.measure()  # last, for its memory is not the work's
    row = {
        "batch": work.items,
        "ms_per_step": round(1e3 * median, 3),
        "ms_min": round(1e3 * min(times), 3),
        "items_per_s": round(work.items / median, 4),
        "peak_mem_mb": round(peak / 2**20, 1),
        "compile_s": round(work.compile_s, 2),
        "gflop_least": round(work.flops / 1e9, 4),
        "gflop_compiled": round(work.compiled_flops / 1e9, 4),
        "mb_least": round(work.moved / 1e6, 3),
        "mb_compiled": round(work.compiled_bytes / 1e6, 3),
        "machine_gflop_per_s": round(machine.flops_per_s / 1e9, 1),
        "machine_gb_per_s": round(machine.bytes_per_s / 1e9, 1),
        "share_of_floor": round(machine.seconds(work.flops, work.moved) / median, 4),
        "steps": REPEATS.value,
        "audio_s_per_s": round(work.items * work.audio_s / median, 2),
        "convergence_db": round(work.convergence_db(result), 2) if work.convergence_db else math.nan,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "jax": jax.__version__,
    }
    return {name: value for name, value in row.items() if isinstance(value, str) or math.isfinite(value)}


def _work(name: str) -> Any:
    from specjax import wings
    from specjax.benchmark import chord, signal
    from specjax.benchmark.names import BATCHES
    from specjax.chord.task import ChordTask
    from specjax.config import to_dataclass

    values = CONFIG.value.to_dict()
    works = BATCHES.get(values["wing"], {})
    if name not in works:
        raise Refusal(f"--only={name} is unknown: choose from {', '.join(works)}")
    batch = BATCH.value or works[name]
    if values["wing"] == "signal":
        del values["wing"]
        return signal.build(name, to_dataclass(signal.SignalConfig, values), batch)
    clock, task = wings.build(values)
    assert isinstance(task, ChordTask)
    return chord.build(name, clock, task, batch)


def _programs() -> list[Program]:
    """Of every work, once for each batch that is swept, ours and then the peers'."""
    from specjax.benchmark.names import BATCHES, DEFAULT

    wing = CONFIG.value.get("wing")
    if wing not in BATCHES:
        raise Refusal(f"a config of wing {wing!r} has no works to time: choose one of wing {' or '.join(BATCHES)}")
    works = WORKS.value or list(DEFAULT[wing])
    if unknown := [work for work in works if work not in BATCHES[wing]]:
        raise Refusal(f"--works={unknown[0]} is unknown: choose from {', '.join(BATCHES[wing])}")
    parameter, values = _sweep()
    if parameter == "steps_per_dispatch" and parameter not in CONFIG.value:
        raise Refusal(f"--sweep={SWEEP.value}: a config of wing {wing!r} has no {parameter}")
    counts = _counts(DEVICES.value, "--devices") or [0]
    peers = _peers()
    programs = []
    for work in works:
        for value in values:
            label = f"{work} x {value}" if parameter == "batch" else work
            batch = value if parameter == "batch" else BATCH.value or BATCHES[wing][work]
            extra = [f"--batch={value}"] if parameter == "batch" else []
            if parameter == "steps_per_dispatch":
                extra = [f"--config.{parameter}={value}"]
            for count in counts:
                name = f"specjax {extra[0].split('.')[-1]}" if parameter == "steps_per_dispatch" else "specjax"
                name += f" devices={count}" if count else ""
                environment = {"JAX_NUM_CPU_DEVICES": str(count)} if count else {}
                command = [sys.executable, "-m", "specjax.bench", *sys.argv[1:], f"--only={work}", *extra]
                programs.append(Program(label, name, command, None, environment))
            programs += [
                Program(label, name, [*command, f"--batch={batch}"], folder)
                for name, command, folder in peers.get(work, [])
            ]
    return programs


def _peers() -> dict[str, list[tuple[str, list[str], Path | None]]]:
    """Name, command and folder of the peers of each work."""
    peers: dict[str, list[tuple[str, list[str], Path | None]]] = {}
    if PEERS.value:
        if missing := [name for name in ("torch", "scipy", "pytorch_msssim") if not importlib.util.find_spec(name)]:
            raise Refusal(f"--peers needs {', '.join(missing)}: pip install 'specjax[peers]'")
        for work, (name, program_words) in PLAIN.items():
            module, *words = program_words
            command = [sys.executable, "-m", f"specjax.peers.{module}", *words, f"--repeats={min(REPEATS.value, 3)}"]
            peers.setdefault(work, []).append((f"plain {name}", command, None))
    if PEERS_DIR.value is not None:
        folder = Path(PEERS_DIR.value)
        if not folder.is_dir():
            raise Refusal(f"--peers_dir={folder} is not a folder")
        for work, words in TUNED.items():
            peers.setdefault(work, []).append(("tuned", [sys.executable, *words], folder))
    return peers


def _sweep() -> tuple[str, list[int]]:
    if not SWEEP.value:
        return "", [0]
    parameter, _, numbers = SWEEP.value.partition(":")
    if parameter not in ("batch", "steps_per_dispatch") or not numbers:
        raise Refusal(f"--sweep={SWEEP.value} must be batch:N,N,... or steps_per_dispatch:N,N,...")
    return parameter, _counts(numbers.split(","), "--sweep")


def _counts(words: Sequence[str], flag: str) -> list[int]:
    if not all(word.isdecimal() and int(word) for word in words):
        raise Refusal(f"{flag}={','.join(words)}: numbers from 1 up are expected")
    return [int(word) for word in words]


def _check_plot() -> None:
    if PLOT.value is None:
        return
    cli.need("matplotlib", "--plot", extra="plots")
    if not PLOT.value.endswith(".png") or not Path(PLOT.value).absolute().parent.is_dir():
        raise Refusal(f"--plot={PLOT.value} must be a .png in a folder that exists")


if __name__ == "__main__":
    cli.run(main)
