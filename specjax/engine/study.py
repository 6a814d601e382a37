"""A question, the runs that answer it, and the table of what they measured."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from specjax.cli.errors import UserError

Overrides = Mapping[str, Any]
Result = dict[str, Any]
RESULT = "result.json"


@dataclass(frozen=True)
class Study:
    """Variants of a config, each a name and what it changes, to be trained from so many seeds."""

    question: str
    variants: Mapping[str, Overrides]
    seeds: int = 1


@dataclass(frozen=True)
class Options:
    """What a user asked of a study.

    config: values of the config to vary, and `config_flags` the flags that gave them; None if none was named.
    workdir: folder of this study's runs.
    seeds: seeds of every variant; 0 leaves it to the study.
    examples: how many held-out examples to measure; 0 means all.
    sounds: sound files, and folders of them.
    """

    config: dict[str, Any] | None
    config_flags: Sequence[str]
    workdir: Path
    seeds: int
    examples: int
    sounds: Sequence[str]

    def require_config(self) -> dict[str, Any]:
        """The config's values.

        Raises:
          UserError: no config was named, or the folder for its runs cannot be made.
        """
        if self.config is None:
            raise UserError("--config is missing: for example --config=unet:small")
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--workdir={self.workdir} cannot be written: {error.strerror}") from error
        return self.config


class Measure(NamedTuple):
    """A figure of `specjax.evaluate`, and how it is shown: times `scale`, as `form`."""

    key: str
    heading: str
    scale: float
    form: str


def answer(
    study: Study, config_flags: Sequence[str], seeds: Sequence[int], folder: Path, examples: int
) -> dict[str, list[Result]]:
    """Results by variant, one a seed. A run that was finished before is not done again."""
    results: dict[str, list[Result]] = {name: [] for name in study.variants}
    todo = [(name, seed) for seed in seeds for name in study.variants]
    for number, (name, seed) in enumerate(todo, 1):
        print(f"run {number}/{len(todo)}: {name}, seed {seed}", file=sys.stderr, flush=True)
        words = [*config_flags, *(f"--config.{key}={value}" for key, value in study.variants[name].items())]
        workdir = folder / f"{_slug(name)}-{seed}"
        results[name].append(run([*words, f"--config.seed={seed}"], workdir, examples))
    return results


def table(study: Study, results: Mapping[str, Sequence[Result]], measures: Sequence[Measure]) -> str:
    """Markdown: means over seeds, with the half-width of their 95% interval (Student's t) where there are several."""
    shown = [m for m in measures if any(m.key in r for rs in results.values() for r in rs)]
    lines = [f"{study.question}", "", "| | runs that ended well | " + " | ".join(m.heading for m in shown) + " |"]
    lines.append("|---|--:|" + "--:|" * len(shown))
    for name, runs in results.items():
        good = [run for run in runs if "stopped" not in run]
        cells = [interval([m.scale * run[m.key] for run in good], m.form) for m in shown]
        lines.append(f"| {name} | {len(good)} of {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def confidence_half_width(values: Sequence[float]) -> float:
    """Of the 95% interval of the mean of normal values of unknown spread; not a number for fewer than two."""
    from scipy import stats

    if len(values) < 2:
        return math.nan
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def interval(values: Sequence[float], form: str) -> str:
    """Mean, and the half-width of its 95% interval where there are several; empty of none."""
    if not values:
        return ""
    mean, spread = sum(values) / len(values), confidence_half_width(values)
    return form.format(mean) + (f" ± {form.format(spread)}" if math.isfinite(spread) else "")


def run(words: Sequence[str], workdir: Path, examples: int) -> Result:
    """Train and measure; a training that stops by itself is a result too, with its reason under `stopped`.

    Raises:
      UserError: the training did not even begin.
    """
    asked = {"words": list(words), "examples": examples}
    done = workdir / RESULT
    if done.exists():
        known: Result = json.loads(done.read_text())
        if known["asked"] == asked:
            return known
    trained = _specjax("train", *words, f"--workdir={workdir}")
    if trained.returncode:
        reason = (trained.stderr.strip().splitlines() or ["no reason given"])[-1]
        if not workdir.exists():
            raise UserError(f"the training for {workdir} was refused: {reason.removeprefix('error: ')}")
        result: Result = {"stopped": reason}
    else:
        measured = _specjax("evaluate", f"--workdir={workdir}", f"--examples={examples}")
        measured.check_returncode()
        result = json.loads(measured.stdout.splitlines()[-1])
    done.write_text(json.dumps({"asked": asked, **result}))
    return result


def _specjax(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"specjax.{name}", *words], capture_output=True, text=True, check=False
    )


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)
