"""Run benchmark programs of specjax and of other libraries, and report the results in a table and a plot."""

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]


class Program(NamedTuple):
    """Command that runs one benchmark in its own process and prints the result as one line of JSON.

    Attributes:
      benchmark: name of the benchmark.
      name: name of the implementation, such as `specjax` or `plain scipy`.
      command: command line.
      folder: working directory; None for the current one.
      environment: environment variables to set in addition to those of this process.
    """

    benchmark: str
    name: str
    command: list[str]
    folder: Path | None = None
    environment: Mapping[str, str] = {}


def take_turns(programs: Sequence[Program], rounds: int) -> list[list[Row]]:
    """Run all programs one after another, and repeat this for a number of rounds.

    Args:
      programs: programs to run.
      rounds: number of times that each program runs.

    Returns:
      For each program, the list of its results in the order of the rounds. Each result is a dict of measured values,
      or has the key `error` if the program failed. If the user interrupts a round, the list ends before that round.

    Raises:
      KeyboardInterrupt: the user interrupted the first round.
    """
    # Alternating the programs lets a busy phase of the machine slow all of them down alike.
    rows: list[list[Row]] = [[] for _ in programs]
    for round_ in range(rounds):
        try:
            latest = []
            for program in programs:
                print(
                    f"round {round_ + 1}/{rounds}: {program.benchmark} by {program.name}", file=sys.stderr, flush=True
                )
                latest.append(run(program))
        except KeyboardInterrupt:
            if not round_:
                raise
            print(f"interrupted: using {round_} complete rounds", file=sys.stderr, flush=True)
            break
        for program_rows, row in zip(rows, latest, strict=True):
            program_rows.append(row)
    return rows


def run(program: Program) -> Row:
    """Run a program and return its result.

    Returns:
      The last JSON object that the program printed on a line of its own, as a dict. If the program failed or printed no
      JSON object, the dict has the key `error` instead: the last line of the error output, or the exit status. The dict
      always has the keys `benchmark` (name of the benchmark) and `peer` (name of the program).
    """
    done = subprocess.run(
        program.command,
        capture_output=True,
        text=True,
        cwd=program.folder,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"} | dict(program.environment),
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    reason = " ".join(done.stderr.strip().splitlines()[-1:])[-200:]
    if lines and not done.returncode:
        row = json.loads(lines[-1])
    else:
        row = {"error": reason or f"exit status {done.returncode}"}
    return row | {"benchmark": program.benchmark, "peer": program.name}


def merge(rows: Sequence[Row]) -> Row:
    """Merge the results of one program in several rounds into one result.

    Args:
      rows: result of each round: a dict of measured values, or a dict with the key `error` if the round failed. The
        measured values include the time per call in ms (`ms_per_step`).

    Returns:
      The result of the last successful round, with every float replaced by its median over the successful rounds. Three
      keys are added: `ms_low` and `ms_high` are the minimum and maximum of `ms_per_step` over the successful rounds,
      and `rounds` is the number of successful rounds. If all rounds failed, the result of the last round is returned.
    """
    good = [row for row in rows if "error" not in row]
    if not good:
        return rows[-1]
    times = [row["ms_per_step"] for row in good]
    merged = dict(good[-1])
    for name, value in merged.items():
        if isinstance(value, float):
            merged[name] = round(statistics.median(row[name] for row in good if row.get(name) is not None), 5)
    return merged | {"ms_low": min(times), "ms_high": max(times), "rounds": len(good)}


def compute_speedups(ours: Sequence[Row], theirs: Sequence[Row]) -> tuple[float, float, float] | None:
    """Compute the speedup of one program over another, from their results in the same rounds.

    The speedup is the number of items (such as audio clips or images) that the first program processes per second,
    divided by that of the second program.

    Args:
      ours: results of the first program, one dict per round.
      theirs: results of the second program, in the same order.

    Returns:
      Median, minimum and maximum of the speedup over the rounds in which both programs succeeded. None if there is no
      such round.
    """
    ratios = [
        a["items_per_s"] / b["items_per_s"]
        for a, b in zip(ours, theirs, strict=True)
        if "error" not in a and "error" not in b
    ]
    return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def format_table(programs: Sequence[Program], turns: Sequence[Sequence[Row]]) -> str:
    """Format benchmark results as a text table with one line per program.

    An item is what a benchmark processes, such as an audio clip or an image. The columns are:

    - `batch`: number of items per call.
    - `ms/item`, `low-high`: time per item in ms, as the median and the range over the rounds.
    - `items/s`: items per second.
    - `audio s/s`, `conv. dB`: seconds of audio processed per second, and spectral convergence in dB. These two columns
      are present only if a benchmark processes audio.
    - `MB`: peak memory.
    - `compile s`: compilation time in seconds.
    - `of roofline`: speed in percent of the roofline limit, which is set by peak arithmetic speed and memory bandwidth.
    - `specjax speedup`: how many times faster specjax is than this program, as the median and the range over the
      rounds.

    Args:
      programs: benchmark programs; for each benchmark, the program of specjax comes first.
      turns: results of each program, one dict per round.
    """
    first = {program.benchmark: turns[i] for i, program in reversed(list(enumerate(programs)))}
    has_audio = any("audio_s_per_s" in row for rows in turns for row in rows)
    head = f"{'benchmark':<20}{'program':<22}{'batch':>6}{'ms/item':>10}{'low-high':>17}{'items/s':>10}"
    audio_head = f"{'audio s/s':>11}{'conv. dB':>9}" if has_audio else ""
    lines = [head + audio_head + f"{'MB':>7}{'compile s':>11}{'of roofline':>12}{'specjax speedup':>22}"]
    for program, rows in zip(programs, turns, strict=True):
        row = merge(rows)
        if "error" in row:
            lines.append(f"{program.benchmark:<20}{program.name:<22}did not run: {row['error']}")
            continue
        batch = row["batch"]
        spread = f"{row['ms_low'] / batch:.4g}-{row['ms_high'] / batch:.4g}"
        line = f"{program.benchmark:<20}{program.name:<22}{batch:>6}{row['ms_per_step'] / batch:>10.4g}{spread:>17}"
        line += f"{row['items_per_s']:>10.4g}"
        if has_audio:
            # Programs of other libraries do not print the duration of an item. It is that of the specjax program.
            ours = merge(first[program.benchmark])
            audio_s = ours["audio_s_per_s"] / ours["items_per_s"] if "audio_s_per_s" in ours else math.nan
            line += f"{row['items_per_s'] * audio_s:>11.4g}"
            line += f"{row['convergence_db']:>9.1f}" if "convergence_db" in row else f"{'':>9}"
        line += f"{row.get('peak_mem_mb', math.nan):>7.0f}"
        line += f"{row['compile_s']:>11.2f}" if "compile_s" in row else f"{'':>11}"
        line += f"{100 * row['share_of_roofline']:>11.0f}%" if "share_of_roofline" in row else f"{'':>12}"
        if rows is not first[program.benchmark] and (speedups := compute_speedups(first[program.benchmark], rows)):
            line += f"{f'{speedups[0]:.3g}x ({speedups[1]:.3g}-{speedups[2]:.3g})':>22}"
        lines.append(line)
    return "\n".join(lines)


def save_plot(programs: Sequence[Program], turns: Sequence[Sequence[Row]], path: Path) -> None:
    """Plot the speed of every program, and save the figure as an image file.

    The speed is the number of items (such as audio clips or images) processed per second, on a logarithmic axis. Each
    program is a point with an error bar from its slowest to its fastest round.

    Args:
      programs: benchmark programs. Those that failed in all rounds are left out.
      turns: results of each program, one dict per round.
      path: image file to write.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = [(program, merge(program_rows)) for program, program_rows in zip(programs, turns, strict=True)]
    rows = [(program, row) for program, row in rows if "error" not in row][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.35 * len(rows)), layout="constrained")
    names = [f"{program.benchmark}: {program.name}" for program, _ in rows]
    speeds = [row["items_per_s"] for _, row in rows]
    lows = [speed - 1e3 * row["batch"] / row["ms_high"] for speed, (_, row) in zip(speeds, rows, strict=True)]
    highs = [1e3 * row["batch"] / row["ms_low"] - speed for speed, (_, row) in zip(speeds, rows, strict=True)]
    for i, (program, _) in enumerate(rows):
        color = "tab:blue" if program.name.startswith("specjax") else "tab:gray"
        spread = [[max(lows[i], 0.0)], [max(highs[i], 0.0)]]
        axes.errorbar(speeds[i], names[i], xerr=spread, fmt="o", color=color, capsize=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("items per second (median; bars from the slowest to the fastest round)")
    figure.savefig(path, dpi=120)
    plt.close(figure)
