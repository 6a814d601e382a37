"""Studies: train variants of a config with several seeds, evaluate each, and tabulate the results."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from specjax.cli import files
from specjax.cli.errors import DivergedError, UserError
from specjax.measure.intervals import format_interval

Overrides = Mapping[str, Any]
Result = dict[str, Any]
RESULT = "result.json"


@dataclass(frozen=True)
class Study:
    """A comparison of variants of a config.

    Attributes:
      question: question that the study answers; the heading of its table.
      variants: maps the name of each variant to the config values that it overrides. Their keys are dotted, such as
        `loss.ms_ssim.value`.
      seeds: default number of seeds per variant.
    """

    question: str
    variants: Mapping[str, Overrides]
    seeds: int = 1


@dataclass(frozen=True)
class Options:
    """Command-line options of `specjax study`.

    Attributes:
      config: values of the config that the study starts from (base config); None if the user gave no `--config`.
      config_flags: flags that select and override the base config, such as `--config=unet:small`.
      workdir: folder of the runs of this study.
      seeds: number of seeds per variant; 0 for the default of the study.
      examples: number of held-out examples to evaluate; 0 for all.
      sounds: paths of sound files, or of folders that contain them, for a study of sound.
      bundles: folders of exported models by the name that the table gives them, for a study of trained models.
      runs: folders of the runs of some of these models, by the same names.
      judge: folder of the exported model that judges them; None if the user gave no `--judge`.
    """

    config: dict[str, Any] | None
    config_flags: Sequence[str]
    workdir: Path
    seeds: int
    examples: int
    sounds: Sequence[str]
    bundles: Mapping[str, Path] = field(default_factory=dict)
    runs: Mapping[str, Path] = field(default_factory=dict)
    judge: Path | None = None

    def require_config(self) -> dict[str, Any]:
        """Return the values of the config that the user chose with `--config`, and create the folder `workdir`.

        Raises:
          UserError: `--config` was not given, or `workdir` cannot be created.
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
    """A result of `specjax.evaluate` to show as a column of a table.

    Attributes:
      key: name of the result, such as `eval/exact_notes`.
      heading: heading of the column.
      scale: factor applied to the result, such as 100 for percent.
      form: format string of the scaled result, such as `{:.1f}%`.
    """

    key: str
    heading: str
    scale: float
    form: str


def seeds(count: int) -> dict[str, Overrides]:
    """Return repetitions of a study with the seeds 0 to `count - 1`."""
    return {f"{seed}": {"seed": seed} for seed in range(count)}


def train_variants(study: Study, measures: Sequence[Measure], options: Options) -> None:
    """Train and evaluate every variant of a study with several seeds, and print a Markdown table of the results.

    Args:
      study: variants of a config to compare, such as different losses. Each is a set of config values to override.
      measures: columns of the table.
      options: command-line options: base config, folder of the runs, number of seeds (0 for the default of the study),
        and number of held-out examples to evaluate (0 for all).

    Raises:
      UserError: no base config is named, or a run could not start or be evaluated.
    """
    options.require_config()
    repetitions = seeds(options.seeds or study.seeds)
    print(f"specjax study: {len(study.variants)} variants, {len(repetitions)} seeds", file=sys.stderr, flush=True)
    results = answer(study, options.config_flags, repetitions, options.workdir, options.examples)
    print(table(study, results, measures))


def answer(
    study: Study,
    config_flags: Sequence[str],
    repetitions: Mapping[str, Overrides],
    folder: Path,
    examples: int,
) -> dict[str, list[Result]]:
    """Train and evaluate every variant of a study several times. Runs that have finished before are not repeated.

    Args:
      study: the study.
      config_flags: command-line flags that select and override the base config.
      repetitions: config values of each repetition, such as its seed (see `seeds`) or its held-out fold, by name.
      folder: parent of the working directories of the runs.
      examples: number of held-out examples to evaluate; 0 for all.

    Returns:
      The results of each variant by name, in the order of the repetitions.

    Raises:
      UserError: a training run could not start, was interrupted, or could not be evaluated.
    """
    results: dict[str, list[Result]] = {name: [] for name in study.variants}
    runs = [(name, repetition) for repetition in repetitions for name in study.variants]
    for number, (name, repetition) in enumerate(runs, 1):
        print(f"run {number}/{len(runs)}: {name}, repetition {repetition}", file=sys.stderr, flush=True)
        values = [*study.variants[name].items(), *repetitions[repetition].items()]
        arguments = [*config_flags, *(f"--config.{key}={value}" for key, value in values)]
        results[name].append(run(arguments, folder / f"{_slug(name)}-{_slug(repetition)}", examples))
    return results


def table(study: Study, results: Mapping[str, Sequence[Result]], measures: Sequence[Measure]) -> str:
    """Format the results of a study as a Markdown table with one row per variant.

    Each cell is the mean over the completed runs of a variant. If there are several, the half-width of the 95%
    confidence interval of the mean (Student's t) is added. Measures that are missing from all results are left out.

    Args:
      study: the study.
      results: results of each variant, one per run, by the name of the variant.
      measures: columns of the table.
    """
    columns = [m for m in measures if any(m.key in r for rs in results.values() for r in rs)]
    lines = [f"{study.question}", "", "| | completed runs | " + " | ".join(m.heading for m in columns) + " |"]
    lines.append("|---|--:|" + "--:|" * len(columns))
    for name, runs in results.items():
        good = [run for run in runs if "stopped" not in run]
        cells = [format_interval([m.scale * run[m.key] for run in good if m.key in run], m.form) for m in columns]
        lines.append(f"| {name} | {len(good)} of {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def remember(folder: Path, request: Mapping[str, Any], compute: Callable[[], Result]) -> Result:
    """Return the result that a folder holds for a request; if it holds none, compute the result and save it.

    Args:
      folder: folder of the results.
      request: everything that the result depends on; must be JSON-serializable.
      compute: computes the result, which must be JSON-serializable.

    Raises:
      UserError: the folder cannot be written.
    """
    name = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:24]
    path = folder / f"{name}.json"
    if "result" in (saved := _read_saved(path)):
        found: Result = saved["result"]
        return found
    result = compute()
    try:
        files.write_atomic(path, json.dumps({"request": request, "result": result}, indent=1).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    return result


def run(arguments: Sequence[str], workdir: Path, examples: int) -> Result:
    """Train a model with one seed and evaluate it, unless this was done before.

    The result is saved in the working directory. If a result for equal arguments and an equal number of examples is
    already saved there, it is returned.

    Args:
      arguments: command-line arguments of `specjax.train` without `--workdir`, including the config and the seed.
      workdir: working directory of the run.
      examples: number of held-out examples to evaluate; 0 for all.

    Returns:
      The results of `specjax.evaluate` by name. If the training diverged (its updates were not finite again and again),
      the error message under the key `stopped`.

    Raises:
      UserError: the training ended early for another reason, or its run could not be evaluated.
    """
    request = {"words": list(arguments), "examples": examples}
    result_path = workdir / RESULT
    saved = _read_saved(result_path)
    if saved.pop("asked", None) == request:
        return saved
    training = _run_command("train", *arguments, f"--workdir={workdir}")
    if training.returncode:
        if training.returncode != DivergedError.exit_status:
            raise UserError(f"the training in {workdir} ended early: {_error_message(training.stderr)}")
        result: Result = {"stopped": _error_message(training.stderr)}
    else:
        evaluation = _run_command("evaluate", f"--workdir={workdir}", f"--examples={examples}")
        if evaluation.returncode:
            raise UserError(f"the run in {workdir} could not be evaluated: {_error_message(evaluation.stderr)}")
        result = json.loads(evaluation.stdout.splitlines()[-1])
    files.write_atomic(result_path, json.dumps({"asked": request, **result}).encode())
    return result


def _read_saved(path: Path) -> Result:
    """Read a file of results. If it does not exist or is damaged, the result is empty: they are computed again."""
    try:
        saved = json.loads(path.read_bytes())  # A result may be NaN.
    except FileNotFoundError:
        return {}
    except (OSError, RecursionError, ValueError) as error:
        saved = error
    if isinstance(saved, dict):
        return saved
    print(f"{path} is damaged ({saved}), its results are computed again", file=sys.stderr, flush=True)
    return {}


def _run_command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m specjax.NAME` with `arguments`, and capture its output."""
    return subprocess.run(
        [sys.executable, "-m", f"specjax.{name}", *arguments], capture_output=True, text=True, check=False
    )


def _error_message(stderr: str) -> str:
    """Return the error message of a command that failed: the last line of what it wrote to stderr."""
    lines = stderr.strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("error: ")


def _slug(name: str) -> str:
    """Replace every character of a name that is not a letter or a digit by an underscore, for use in a path."""
    return "".join(c if c.isalnum() else "_" for c in name)
