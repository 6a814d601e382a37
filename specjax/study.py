"""python -m specjax.study QUESTION [--config=unet:small ...] [--seeds=N] [--workdir=DIR] [--sounds=DIR,a.wav]
    [--bundles=NAME=DIR,NAME=DIR] [--runs=NAME=DIR] [--judge=DIR]

Runs a study of a paper, which is a predefined experiment. QUESTION is the name of the study; without it, the names are
listed. A study of training needs --config: it trains each variant of the config with several seeds, evaluates it on
held-out examples, and prints a table with 95% confidence intervals. A study of sound needs --sounds, and one of trained
models needs --bundles. To continue an interrupted study, run the same command again.

    python -m specjax.study heads --config=unet:small --config.data.source=path/to/mnist
    python -m specjax.study inversion --sounds=path/to/sounds
    python -m specjax.study music --config=gan --bundles=gan=bundles/gan,paper=bundles/paper --judge=bundles/judge
"""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from specjax import papers
from specjax.cli import app
from specjax.cli.config import config_arguments
from specjax.cli.errors import UserError
from specjax.cli.options import paths
from specjax.cli.paths import local_path
from specjax.engine.study import Options

POSITIONAL = 1  # QUESTION
CONFIG = config_flags.DEFINE_config_file("config", None, "base config, such as unet:small", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", "runs/studies", "folder of all studies; each has a subfolder for each config")
SEEDS = flags.DEFINE_integer("seeds", 0, "seeds per variant; 0: the default of the study", lower_bound=0)
SOUNDS = flags.DEFINE_string("sounds", None, "sound files, or folders of them")
BUNDLES = flags.DEFINE_list("bundles", [], "bundles to compare, each as NAME=FOLDER")
RUNS = flags.DEFINE_list("runs", [], "runs of these bundles, each as NAME=FOLDER")
JUDGE = flags.DEFINE_string("judge", None, "bundle of the judge of the study music")
EXAMPLES = flags.DEFINE_integer("examples", 1000, "held-out examples to evaluate; 0: all", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    questions = _questions()
    if len(argv) < 2 or argv[1] not in questions:
        found = f"question {argv[1]!r} is unknown" if len(argv) > 1 else "no question is named"
        raise UserError(f"{found}, name a question: one of {', '.join(questions)}")
    values = None if CONFIG.value is None else CONFIG.value.to_dict()
    if values is not None:
        papers.build(values)  # An invalid config is an error before anything is trained.
    options = Options(
        config=values,
        config_flags=config_arguments(sys.argv[1:]),
        workdir=local_path(WORKDIR.value, "--workdir") / argv[1] / _config_digest(values),
        seeds=SEEDS.value,
        examples=EXAMPLES.value,
        sounds=[str(local_path(place, "--sounds", "file")) for place in paths(SOUNDS.value or "") if place],
        bundles=_parse_folders(BUNDLES.value, "--bundles"),
        runs=_parse_folders(RUNS.value, "--runs"),
        judge=None if JUDGE.value is None else local_path(JUDGE.value, "--judge"),
    )
    questions[argv[1]](options)


def _config_digest(values: dict[str, Any] | None) -> str:
    """Return a name for the folder of a config, so that results never mix with those of another config; "" for None."""
    if values is None:
        return ""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _parse_folders(entries: Sequence[str], flag: str) -> dict[str, Path]:
    """Return folders by their names.

    Raises:
      UserError: an entry is not of the form NAME=FOLDER, or a name occurs twice.
    """
    folders: dict[str, Path] = {}
    for entry in entries:
        name, equals, folder = entry.partition("=")
        if not (name and equals and folder):
            raise UserError(f"{flag} holds {entry!r}, expected NAME=FOLDER, as in {flag}=gan=path/to/gan")
        if name in folders:
            raise UserError(f"{flag} names {name!r} twice: give each folder its own name")
        folders[name] = local_path(folder, flag)
    return folders


def _questions() -> dict[str, Callable[[Options], None]]:
    """Return the functions that run the studies, by name of the study.

    A study is a predefined experiment. It is defined in the module `studies` of a subpackage of `specjax.papers`.
    """
    modules = [papers.module(paper, "studies") for paper in papers.PAPERS]
    return {name: run for module in modules if module for name, run in module.QUESTIONS.items()}


if __name__ == "__main__":
    app.run(main)
