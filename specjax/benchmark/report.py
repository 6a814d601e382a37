"""Taking turns, and what is shown of it: rows, a table, a plot."""

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
    """A command that does a work and prints one JSON line about it."""

    work: str
    name: str
    command: list[str]
    folder: Path | None = None
    environment: Mapping[str, str] = {}


def take_turns(programs: Sequence[Program], rounds: int) -> list[list[Row]]:
    """Every program once a round, in turn, so that a busy moment of the machine meets them all; rows by program.

    Interrupted, it goes by the rounds that are complete.
    """
    rows: list[list[Row]] = [[] for _ in programs]
    for round_ in range(rounds):
        try:
            latest = []
            for program in programs:
                print(f"round {round_ + 1}/{rounds}: {program.work} by {program.name}", file=sys.stderr, flush=True)
                latest.append(run(program))
        except KeyboardInterrupt:
            if not round_:
                raise
            print(f"interrupted: after {round_} rounds", file=sys.stderr, flush=True)
            break
        for each, row in zip(rows, latest, strict=True):
            each.append(row)
    return rows


def run(program: Program) -> Row:
    """The JSON line that a program prints, or a row that says why there is none."""
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
    row = json.loads(lines[-1]) if lines else {"error": reason or f"exit status {done.returncode}"}
    return row | {"work": program.work, "peer": program.name}


def merge(turns: Sequence[Row]) -> Row:
    """Medians over a program's turns, with the least and greatest of its times."""
    good = [row for row in turns if "error" not in row]
    if not good:
        return turns[-1]
    times = [row["ms_per_step"] for row in good]
    merged = dict(good[-1])
    for name, value in merged.items():
        if isinstance(value, float):
            merged[name] = round(statistics.median(row[name] for row in good if row.get(name) is not None), 5)
    return merged | {"ms_low": min(times), "ms_high": max(times), "rounds": len(good)}


def ratios(ours: Sequence[Row], theirs: Sequence[Row]) -> tuple[float, float, float] | None:
    """How many times as fast: median, least and greatest over the rounds; an item against an item."""
    pairs = [
        a["items_per_s"] / b["items_per_s"]
        for a, b in zip(ours, theirs, strict=True)
        if "error" not in a and "error" not in b
    ]
    return (statistics.median(pairs), min(pairs), max(pairs)) if pairs else None


def table(programs: Sequence[Program], turns: Sequence[Sequence[Row]]) -> str:
    """One line a program: time an item, speed, memory, compilation, share of the floor, and how specjax compares.

    Where the items are sounds, seconds of them a second as well, and how near they come to what they were made from.
    """
    first = {program.work: turns[i] for i, program in reversed(list(enumerate(programs)))}
    audible = any("audio_s_per_s" in row for rows in turns for row in rows)
    head = f"{'work':<20}{'program':<22}{'batch':>6}{'ms/item':>10}{'low-high':>17}{'items/s':>10}"
    heard = f"{'audio s/s':>11}{'near dB':>9}" if audible else ""
    lines = [head + heard + f"{'MB':>7}{'compile s':>11}{'of floor':>10}{'specjax is':>22}"]
    for program, rows in zip(programs, turns, strict=True):
        row = merge(rows)
        if "error" in row:
            lines.append(f"{program.work:<20}{program.name:<22}did not run: {row['error']}")
            continue
        batch = row["batch"]
        spread = f"{row['ms_low'] / batch:.4g}-{row['ms_high'] / batch:.4g}"
        line = f"{program.work:<20}{program.name:<22}{batch:>6}{row['ms_per_step'] / batch:>10.4g}{spread:>17}"
        line += f"{row['items_per_s']:>10.4g}"
        if audible:
            ours = merge(first[program.work])
            audio_s = ours["audio_s_per_s"] / ours["items_per_s"] if "audio_s_per_s" in ours else math.nan
            line += f"{row['items_per_s'] * audio_s:>11.4g}"
            line += f"{row['convergence_db']:>9.1f}" if "convergence_db" in row else f"{'':>9}"
        line += f"{row.get('peak_mem_mb', math.nan):>7.0f}"
        line += f"{row['compile_s']:>11.2f}" if "compile_s" in row else f"{'':>11}"
        line += f"{100 * row['share_of_floor']:>9.0f}%" if "share_of_floor" in row else f"{'':>10}"
        if rows is not first[program.work] and (found := ratios(first[program.work], rows)):
            line += f"{f'{found[0]:.3g}x ({found[1]:.3g}-{found[2]:.3g})':>22}"
        lines.append(line)
    return "\n".join(lines)


def plot(programs: Sequence[Program], turns: Sequence[Sequence[Row]], path: Path) -> None:
    """Items a second of every program, work by work, as a picture."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = [(program, merge(taken)) for program, taken in zip(programs, turns, strict=True)]
    rows = [(program, row) for program, row in rows if "error" not in row][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.35 * len(rows)), layout="constrained")
    names = [f"{program.work}: {program.name}" for program, _ in rows]
    speeds = [row["items_per_s"] for _, row in rows]
    lows = [speed - 1e3 * row["batch"] / row["ms_high"] for speed, (_, row) in zip(speeds, rows, strict=True)]
    highs = [1e3 * row["batch"] / row["ms_low"] - speed for speed, (_, row) in zip(speeds, rows, strict=True)]
    for i, (program, _) in enumerate(rows):
        apply_colormap = "tab:blue" if program.name.startswith("specjax") else "tab:gray"
        spread = [[max(lows[i], 0.0)], [max(highs[i], 0.0)]]
        axes.errorbar(speeds[i], names[i], xerr=spread, fmt="o", color=apply_colormap, capsize=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("items a second (median; lines from the slowest to the fastest round)")
    figure.savefig(path, dpi=120)
    plt.close(figure)
