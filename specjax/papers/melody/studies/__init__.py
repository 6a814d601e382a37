"""Studies for `specjax study`: the table of generators of music, and variants of `gan`."""

import sys
from collections.abc import Callable
from functools import partial

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.engine.study import Measure, Options, Study, train_variants

MEASURES = (
    Measure("eval/judge_accuracy", "judge right", 100.0, "{:.0f}%"),
    Measure("eval/judge_noise", "taken for noise", 100.0, "{:.0f}%"),
    Measure("eval/precision", "precision", 1.0, "{:.2f}"),
    Measure("eval/recall", "recall", 1.0, "{:.2f}"),
    Measure("eval/coverage", "coverage", 1.0, "{:.2f}"),
    Measure("eval/kernel_distance", "kernel distance", 1.0, "{:.3g}"),
    Measure("eval/level_db", "level, dB", 1.0, "{:+.1f}"),
    Measure("eval/outer_thirds_db", "outer thirds, dB", 1.0, "{:+.1f}"),
    Measure("eval/auc", "AUC", 1.0, "{:.2f}"),
)
_LEAST_SQUARES = {"loss": "least_squares", "penalty.kind": "none"}
GAN_STUDIES = {
    "switches": Study(
        "Effect of each setting of `gan`: the unchanged config, and the config with one setting changed.",
        {
            "all": {},
            "linear scale": {"representation.scale": "signed_power"},
            "exact gradient penalty": {"penalty.kind": "gradient"},
            "no gradient penalty": {"penalty.kind": "none"},
            "adaptive penalty": {"penalty.adapt": 0.01},
            "least squares, no gradient penalty": _LEAST_SQUARES,
            "least squares, spectral normalization": {**_LEAST_SQUARES, "spectral_norm": True},
            "hinge, spectral normalization": {"loss": "hinge", "penalty.kind": "none", "spectral_norm": True},
            "non-saturating": {"loss": "non_saturating"},
            "augmentation": {"augment.enabled": True},
            "no moving average": {"generator.ema_decay": 0.0},
            "coefficients as they are": {"whitening": 0.0},
            "coefficients of equal deviation": {"whitening": 1.0},
            "networks of their own for each genre": {"ensemble": True},
        },
    ),
    "tempo": Study(
        "Effect of stretching all tracks to one tempo. The judge should be trained on tracks of that tempo too.",
        {"tracks as they are": {}, "one tempo": {"data.tempo_bpm": 107.67}},
    ),
}


def run_music(options: Options) -> None:
    """Compare generators of music with held-out music, and print the result as a Markdown table with control rows.

    Args:
      options: command-line options. `config`: a config of the melody paper, which names the data set. `bundles`: the
        generators. `runs`: the runs of some of them. `judge`: the judge. `examples`: largest number of clips in a row;
        0 for as many as there are.

    Raises:
      UserError: an option is missing, a bundle or the data set cannot be used, or they have different genres.
    """
    from specjax import papers
    from specjax.engine import bundle
    from specjax.papers.melody.evaluation import load_judge
    from specjax.papers.melody.studies import rows, table
    from specjax.papers.melody.tracks import MusicConfig, resolve_genres

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    _, task = papers.build(options.require_config())
    config = getattr(getattr(task, "config", None), "data", None)
    if not isinstance(config, MusicConfig):
        raise UserError(f"--config describes the task {task.name}, expected one with music: name --config=gan")
    if options.judge is None:
        raise UserError("--judge is missing: name the bundle of a judge, made with --config=judge_genre")
    if unknown := sorted(set(options.runs) - set(options.bundles)):
        raise UserError(f"--runs names {unknown[0]!r}, which is not in --bundles: use the same names")
    auc = {name: table.read_auc(workdir) for name, workdir in options.runs.items()}
    config = resolve_genres(config)
    judge = load_judge(str(options.judge), config.genres)
    assert judge is not None
    app.use_compilation_cache()
    clips = -(-options.examples // len(config.genres))
    comparison = table.Comparison(judge, bundle.digest(options.judge), config, clips, options.workdir, report)
    representation = judge.inference.config.representation
    listed = rows.list_rows(options.bundles, config.genres, comparison.real, representation)
    results = {name: comparison.measure_row(name, row) for name, row in listed.items()}
    print(table.format_table(comparison.measure_context(), results, auc))


QUESTIONS: dict[str, Callable[[Options], None]] = {
    "music": run_music,
    **{name: partial(train_variants, study, MEASURES) for name, study in GAN_STUDIES.items()},
}
