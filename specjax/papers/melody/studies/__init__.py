"""Study for `specjax study`: the table of generators of music."""

import sys
from collections.abc import Callable

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.engine.study import Options


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


QUESTIONS: dict[str, Callable[[Options], None]] = {"music": run_music}
