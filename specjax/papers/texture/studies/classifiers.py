"""Studies that train classifiers: layout and frequency axis, the second task, and the settings that work best.

Each fold of the data set is held out in turn. The intervals of the tables are over the folds.
"""

import sys
from itertools import product

from specjax import papers
from specjax.cli.errors import UserError
from specjax.engine.study import Measure, Options, Study, answer, table
from specjax.papers.texture.data import fold_numbers
from specjax.papers.texture.task import ClassifierTask

MEASURES = (
    Measure("eval/accuracy", "accuracy", 100.0, "{:.1f}%"),
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
_SECOND_TASK = {"one task": {"model.centroid_classes": 0}, "two tasks": {"model.centroid_classes": 16}}

STUDIES = {
    "axes": Study(
        "Frequency bins as channels or as rows of an image, on three frequency axes, with and without the second task.",
        {
            f"{layout}, {axis}, {tasks}": {**_LAYOUTS[layout], "representation.axis": axis, **_SECOND_TASK[tasks]}
            for layout, axis, tasks in product(_LAYOUTS, ("linear", "log", "mel"), _SECOND_TASK)
        },
    ),
    "folds": Study("The config as it is, with each fold held out in turn.", {"config": {}}),
}


def cross_validate(study: Study, options: Options) -> None:
    """Train and evaluate every variant of a study once for each fold, and print a Markdown table of the results.

    Args:
      study: variants of a config to compare.
      options: command-line options. `options.seeds` is the number of seeds per fold.

    Raises:
      UserError: no base config of a classifier is named or it is invalid, or a run could not start or be evaluated.
    """
    _, task = papers.build(options.require_config())
    if not isinstance(task, ClassifierTask):
        raise UserError(
            f"--config describes the task {task.name}, expected a classifier: name --config=classifier:best"
        )
    folds = fold_numbers(task.config.data)
    repetitions = {
        f"fold {fold}" + (f" seed {seed}" if seed else ""): {"data.held_out_folds": (fold,), "seed": seed}
        for seed in range(options.seeds or study.seeds)
        for fold in folds
    }
    print(f"specjax study: {len(study.variants)} variants, folds {folds}", file=sys.stderr, flush=True)
    results = answer(study, options.config_flags, repetitions, options.workdir, options.examples)
    print(table(study, results, MEASURES))
