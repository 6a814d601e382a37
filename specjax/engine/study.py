"""Studies: train variants of a config with several seeds, evaluate them, and tabulate the results."""

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
    """Variants of a config that are compared.

    Attributes:
      question: what the study asks; the heading of its table.
      variants: changes to the config by variant, as values by dotted key.
      seeds: default number of seeds per variant.
    """

    question: str
    variants: Mapping[str, Overrides]
    seeds: int = 1


@dataclass(frozen=True)
class Options:
    """Command-line options of a study.

    Attributes:
      config: values of the base config; None if no config is named.
      config_flags: the command-line flags that gave the config.
      workdir: folder of the runs of this study.
      seeds: number of seeds per variant; 0 for the default of the study.
      examples: number of held-out examples to evaluate; 0 for all.
      sounds: sound files, or folders of them.
    """

    config: dict[str, Any] | None
    config_flags: Sequence[str]
    workdir: Path
    seeds: int
    examples: int
    sounds: Sequence[str]

    def require_config(self) -> dict[str, Any]:
        """Return the values of the base config, and create the working directory.

        Raises:
          UserError: no config is named, or the working directory cannot be created.
        """
        if self.config is None:
            raise UserError("--config is missing: for example --config=unet:small")
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"--workdir={self.workdir} cannot be written ({error.strerror})"
            raise UserError(f"{reason}: choose another folder") from error
        return self.config


class Measure(NamedTuple):
    """A result of `specjax.evaluate` as a column of a table.

    Attributes:
      key: name of the result.
      heading: heading of the column.
      scale: factor applied to the result, such as 100 for percent.
      form: format string of the scaled result, such as `{:.1f}%`.
    """

    key: str
    heading: str
    scale: float
    form: str


def answer(
    study: Study, config_flags: Sequence[str], seeds: Sequence[int], folder: Path, examples: int
) -> dict[str, list[Result]]:
    """Run every variant of a study with every seed; finished runs are not repeated.

    Args:
      study: the variants.
      config_flags: command-line flags of the base config.
      seeds: seeds of each variant.
      folder: parent of the working directories of the runs.
      examples: number of held-out examples to evaluate; 0 for all.

    Returns:
      The results of each variant, in the order of the seeds.

    Raises:
      UserError: a training could not start.
    """
    results: dict[str, list[Result]] = {name: [] for name in study.variants}
    runs = [(name, seed) for seed in seeds for name in study.variants]
    for number, (name, seed) in enumerate(runs, 1):
        print(f"run {number}/{len(runs)}: {name}, seed {seed}", file=sys.stderr, flush=True)
        arguments = [*config_flags, *(f"--config.{key}={value}" for key, value in study.variants[name].items())]
        workdir = folder / f"{_slug(name)}-{seed}"
        results[name].append(run([*arguments, f"--config.seed={seed}"], workdir, examples))
    return results


def table(study: Study, results: Mapping[str, Sequence[Result]], measures: Sequence[Measure]) -> str:
    """Format results as a Markdown table, one row per variant.

    Cells are means over the runs that did not stop early. With several such runs, the half-width of the 95% confidence
    interval (Student's t) is added. Measures that no run has are left out.
    """
    columns = [m for m in measures if any(m.key in r for rs in results.values() for r in rs)]
    lines = [f"{study.question}", "", "| | completed runs | " + " | ".join(m.heading for m in columns) + " |"]
    lines.append("|---|--:|" + "--:|" * len(columns))
    for name, runs in results.items():
        good = [run for run in runs if "stopped" not in run]
        cells = [format_interval([m.scale * run[m.key] for run in good], m.form) for m in columns]
        lines.append(f"| {name} | {len(good)} of {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def confidence_half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95% confidence interval of the mean of normally distributed values.

    The variance is estimated from the values (Student's t). The result is nan for fewer than two values.
    """
    from scipy import stats

    if len(values) < 2:
        return math.nan
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def format_interval(values: Sequence[float], form: str) -> str:
    """Format the mean with `form`; of several values, add the half-width of the 95% confidence interval of the mean.

    Without values the result is empty.
    """
    if not values:
        return ""
    mean, half_width = sum(values) / len(values), confidence_half_width(values)
    return form.format(mean) + (f" ± {form.format(half_width)}" if math.isfinite(half_width) else "")


def run(arguments: Sequence[str], workdir: Path, examples: int) -> Result:
    """Train and evaluate one variant with one seed, unless this was done before.

    The result is saved in the working directory. It is used again if the arguments and the number of examples are the
    same.

    Args:
      arguments: command-line arguments of `specjax.train`.
      workdir: working directory of the run.
      examples: number of held-out examples to evaluate; 0 for all.

    Returns:
      The results of `specjax.evaluate` by name. If the training failed, the error message under the key `stopped`.

    Raises:
      UserError: the training could not start.
    """
    request = {"words": list(arguments), "examples": examples}
    result_path = workdir / RESULT
    if result_path.exists():
        saved: Result = json.loads(result_path.read_text())
        if saved["asked"] == request:
            return saved
    training = _run_command("train", *arguments, f"--workdir={workdir}")
    if training.returncode:
        reason = (training.stderr.strip().splitlines() or ["no reason given"])[-1]
        # A training that starts creates its working directory. One that fails later is a result of the study.
        if not workdir.exists():
            raise UserError(f"the training in {workdir} could not start: {reason.removeprefix('error: ')}")
        result: Result = {"stopped": reason}
    else:
        evaluation = _run_command("evaluate", f"--workdir={workdir}", f"--examples={examples}")
        evaluation.check_returncode()
        result = json.loads(evaluation.stdout.splitlines()[-1])
    result_path.write_text(json.dumps({"asked": request, **result}))
    return result


def _run_command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m specjax.NAME` and capture its output."""
    return subprocess.run(
        [sys.executable, "-m", f"specjax.{name}", *arguments], capture_output=True, text=True, check=False
    )


def _slug(name: str) -> str:
    """Return a name that is safe in paths: other characters than letters and digits become underscores."""
    return "".join(c if c.isalnum() else "_" for c in name)
