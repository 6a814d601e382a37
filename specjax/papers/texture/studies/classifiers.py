"""Studies that train classifiers: layout and frequency axis, the second task, and nested cross-validation.

Each fold of the data set is held out in turn. The intervals of the tables are over the folds.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from specjax import papers
from specjax.cli.errors import UserError
from specjax.engine.study import Measure, Options, Overrides, Study, answer, table
from specjax.measure.intervals import format_interval
from specjax.papers.texture.data import fold_numbers
from specjax.papers.texture.task import ClassifierTask

_ACCURACY = "eval/accuracy"
MEASURES = (
    Measure(_ACCURACY, "accuracy", 100.0, "{:.1f}%"),
    Measure("eval/accuracy_worst_class", "worst class", 100.0, "{:.0f}%"),
    Measure("eval/top_5", "among the top 5", 100.0, "{:.1f}%"),
    Measure("eval/cross_entropy", "cross-entropy", 1.0, "{:.2f}"),
    Measure("eval/centroid_accuracy", "centroid class", 100.0, "{:.0f}%"),
)
_LAYOUTS = {
    "channels": {},
    "image": {
        "model.layout": "image",
        "model.widths": (16, 24, 48, 96),
        "model.kernel_rows": 3,
        "model.kernel_frames": 3,
    },
}
_AXES = ("linear", "log", "mel")
_SECOND_TASK = {"one task": {"model.centroid_classes": 0}, "two tasks": {"model.centroid_classes": 16}}

STUDIES = {
    "axes": Study(
        "Frequency bins as channels or as rows of an image, on three frequency axes, with and without the second task.",
        {
            f"{layout}, {axis}, {tasks}": {**_LAYOUTS[layout], "representation.axis": axis, **_SECOND_TASK[tasks]}
            for layout, axis, tasks in product(_LAYOUTS, _AXES, _SECOND_TASK)
        },
    ),
    "folds": Study("The config as it is, with each fold held out in turn.", {"config": {}}),
}
NESTED = Study(
    "The config on the frequency axis, and with or without the second task, that do best on inner folds.",
    {
        f"{axis}, {tasks}": {"representation.axis": axis, **_SECOND_TASK[tasks]}
        for axis, tasks in product(_AXES, _SECOND_TASK)
    },
)


def cross_validate(study: Study, options: Options) -> None:
    """Train and evaluate every variant of a study once for each fold, and print a Markdown table of the results.

    Args:
      study: variants of a config to compare.
      options: command-line options. `options.seeds` is the number of seeds per fold.

    Raises:
      UserError: no base config of a classifier is named or it is invalid, or a run could not start or be evaluated.
    """
    folds = _folds(options)
    repetitions = {
        f"fold {fold}" + (f" seed {seed}" if seed else ""): {"data.held_out_folds": (fold,), "seed": seed}
        for seed in range(options.seeds or study.seeds)
        for fold in folds
    }
    print(f"specjax study: {len(study.variants)} variants, folds {folds}", file=sys.stderr, flush=True)
    results = answer(study, options.config_flags, repetitions, options.workdir, options.examples)
    print(table(study, results, MEASURES))


def cross_validate_nested(options: Options) -> None:
    """Hold out each fold in turn, with the best settings on the other folds, and print a Markdown table.

    For each held-out fold, every variant of `NESTED` is first trained and evaluated on the other folds, each of which
    is left out in turn. The best variant is then trained on all of them. So the held-out fold is not used for the
    choice (Cawley and Talbot 2010).

    Args:
      options: command-line options.

    Raises:
      UserError: as for `cross_validate`, or there are fewer than three folds.
    """
    folds = _folds(options)
    if len(folds) < 3:
        raise UserError(f"the data have {len(folds)} folds, expected at least 3: choose other data")
    inner = inner_repetitions(folds)
    print(f"specjax study: {len(NESTED.variants)} variants, folds {folds}", file=sys.stderr, flush=True)
    found = answer(NESTED, options.config_flags, inner, options.workdir, options.examples)
    accuracy = {
        name: dict(zip(inner, (result.get(_ACCURACY, 0.0) for result in results), strict=True))
        for name, results in found.items()
    }
    lines, reached = [], []
    for fold in folds:
        name, expected = choose(accuracy, [key for key, values in inner.items() if _takes_no_part(fold, values)])
        study = Study(NESTED.question, {name: NESTED.variants[name]})
        held_out = {f"fold {fold}": {"data.held_out_folds": (fold,)}}
        (result,) = answer(study, options.config_flags, held_out, options.workdir, options.examples)[name]
        reached.append(100 * result.get(_ACCURACY, 0.0))
        lines.append(f"| {fold} | {name} | {100 * expected:.1f}% | {reached[-1]:.1f}% |")
    print(f"{NESTED.question}\n\n| held-out fold | chosen | on the inner folds | on the held-out fold |")
    print("\n".join(["|---|---|--:|--:|", *lines, f"| all | | | {format_interval(reached, '{:.1f}%')} |"]))


def inner_repetitions(folds: Sequence[int]) -> dict[str, Overrides]:
    """Return every choice of a fold to evaluate on and of the folds to train on, which leave one further fold out."""
    return {
        f"inner fold {inner}, without {outer}": {
            "data.held_out_folds": (inner,),
            "data.train_folds": tuple(fold for fold in folds if fold not in (inner, outer)),
        }
        for outer, inner in product(folds, folds)
        if outer != inner
    }


def choose(accuracy: Mapping[str, Mapping[str, float]], repetitions: Sequence[str]) -> tuple[str, float]:
    """Return the variant with the highest mean accuracy over some repetitions, and this mean.

    Args:
      accuracy: accuracy by the names of variant and repetition.
      repetitions: names of the repetitions that count.
    """
    mean = {name: float(np.mean([values[key] for key in repetitions])) for name, values in accuracy.items()}
    best = max(mean, key=mean.__getitem__)
    return best, mean[best]


def _takes_no_part(fold: int, repetition: Overrides) -> bool:
    return fold not in (*repetition["data.held_out_folds"], *repetition["data.train_folds"])


def _folds(options: Options) -> list[int]:
    """Return the numbers of the folds of a classifier's data.

    Raises:
      UserError: no base config of a classifier is named or it is invalid.
    """
    _, task = papers.build(options.require_config())
    if not isinstance(task, ClassifierTask):
        raise UserError(
            f"--config describes the task {task.name}, expected a classifier: name --config=classifier:best"
        )
    return fold_numbers(task.config.data)
