"""Studies for `specjax study`: the table of picture generators, and variants of the GAN and of the encoder."""

import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.engine.study import Measure, Options, Study, train_variants
from specjax.papers.mvnet.clip_augment import ClipAugmentConfig
from specjax.papers.mvnet.encoder import PAPER_WIDTHS

PAINTER_MEASURES = (
    Measure("eval/diversity", "diversity", 1.0, "{:.2f}"),
    Measure("eval/diversity_worst_era", "worst era", 1.0, "{:.2f}"),
    Measure("eval/diversity_same_music", "same music", 1.0, "{:.2f}"),
    Measure("eval/precision", "precision", 1.0, "{:.2f}"),
    Measure("eval/coverage", "coverage", 1.0, "{:.2f}"),
    Measure("eval/kernel_distance", "kernel distance", 1.0, "{:.3g}"),
    Measure("eval/judge_accuracy", "judge right", 100.0, "{:.0f}%"),
    Measure("eval/follows", "follows", 1.0, "{:.2f}"),
    Measure("eval/auc", "AUC", 1.0, "{:.2f}"),
)
ENCODER_MEASURES = (
    Measure("eval/neighbor", "accuracy, clips", 100.0, "{:.1f}%"),
    Measure("eval/neighbor_worst_era", "worst era", 100.0, "{:.0f}%"),
    Measure("eval/neighbor_vote", "accuracy, compositions", 100.0, "{:.1f}%"),
    Measure("eval/silhouette", "silhouette", 1.0, "{:.2f}"),
)

PAINTER_STUDIES = {
    "cures": Study(
        "Which component of `cdcgan` prevents mode collapse: the unchanged config, and without one component.",
        {
            "all": {},
            "discriminator without the condition": {"model.projection": False},
            "discriminator without the deviation over the batch": {"model.batch_deviation": False},
            "condition without features": {"condition.features": False},
            "condition not faded in": {"condition.fade_from": 0.0, "condition.fade_to": 0.0},
            "no noise on the condition": {"condition.noise": 0.0},
            "no augmentation": {"augment.color": 0.0, "augment.translation": 0.0, "augment.cutout": 0.0},
            "no gradient penalty": {"penalty.kind": "none"},
            "the paper's loss": {"loss": "smoothed"},
            "the paper's loss, no gradient penalty": {"loss": "smoothed", "penalty.kind": "none"},
            "eras as they come": {"balanced": False},
            "no moving average": {"generator.ema_decay": 0.0},
        },
    ),
    "pairing": Study(
        "Which pictures each clip is paired with.",
        {name: {"data.pairing": name} for name in ("paper", "era", "matched")},
    ),
}
_NOT_AUGMENTED = {f"augment.{field.name}": field.default for field in fields(ClipAugmentConfig)}
ENCODER_STUDIES = {
    "encoders": Study(
        "What helps an encoder with music outside the training set.",
        {
            "as it is": {},
            "not augmented": _NOT_AUGMENTED,
            "no pooling over time": {"pooling": "none"},
            "the paper's network": {"pooling": "none", "widths": PAPER_WIDTHS},
            "the paper's network, not augmented": {"pooling": "none", "widths": PAPER_WIDTHS, **_NOT_AUGMENTED},
        },
    ),
    "triplets": Study(
        "The choice of triplets, and the scale of the mel spectrograms, without augmentation.",
        {
            f"{mining}, {scale}": {"triplets.mining": mining, "data.representation.scale": scale, **_NOT_AUGMENTED}
            for mining in ("random", "semi_hard", "batch_hard")
            for scale in ("power", "log")
        },
    ),
}


def compare_painters(options: Options) -> None:
    """Compare generators of pictures with held-out pictures, and print a Markdown table with control rows.

    Args:
      options: command-line options. `config`: a config of the mvnet paper, which names the data set. `bundles`: the
        generators. `judge`: the judge. `examples`: largest number of pairs in a row; 0 for all held-out pairs.

    Raises:
      UserError: an option is missing, a bundle or the data set cannot be used, or they have different eras.
    """
    from dataclasses import replace

    from specjax import papers
    from specjax.engine import bundle
    from specjax.papers.mvnet.catalog import resolve_eras
    from specjax.papers.mvnet.dataset import MuseumConfig
    from specjax.papers.mvnet.judge import load_judge
    from specjax.papers.mvnet.representation import Representation
    from specjax.papers.mvnet.studies import table

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    _, task = papers.build(options.require_config())
    config = getattr(getattr(task, "config", None), "data", None)
    if not isinstance(config, MuseumConfig):
        raise UserError(f"--config describes the task {task.name}, expected one with a museum: name --config=cdcgan")
    if options.judge is None:
        raise UserError("--judge is missing: name the bundle of a judge, made with --config=judge_era")
    if not options.bundles:
        raise UserError("--bundles is missing: name generators, as in --bundles=cdcgan=bundles/cdcgan")
    config = resolve_eras(replace(config, representation=Representation("power")))
    judge = load_judge(str(options.judge), config.eras)
    assert judge is not None
    app.use_compilation_cache()
    comparison = table.Comparison(
        judge, bundle.digest(options.judge), config, options.examples, options.workdir, report
    )
    print(table.format_table(comparison.digest, comparison.measure(options.bundles)))


QUESTIONS: dict[str, Callable[[Options], None]] = {
    "paintings": compare_painters,
    **{name: partial(train_variants, study, PAINTER_MEASURES) for name, study in PAINTER_STUDIES.items()},
    **{name: partial(train_variants, study, ENCODER_MEASURES) for name, study in ENCODER_STUDIES.items()},
}
