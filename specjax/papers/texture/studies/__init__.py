"""Studies for `specjax study`: classifiers, style transfer, spectrograms, features and inversion methods."""

import sys
from collections.abc import Callable
from functools import partial

from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.engine.study import Options


def run_study(question: str, options: Options) -> None:
    """Run a study on sound files, and print its result as a Markdown table.

    Args:
      question: name of the study. `inversion` compares methods that reconstruct sound from STFT magnitudes. `mel`
        compares methods that reconstruct sound from mel spectrograms. `parity` compares spectrograms and features with
        those of librosa.
      options: command-line options. Only `options.sounds` is used: paths of sound files, or of folders of them.

    Raises:
      UserError: `options.sounds` is empty, a path does not exist, a folder contains no sound files or cannot be read,
        or all sound files are invalid.
    """
    from specjax.papers.texture.studies import inversion, mel, parity

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    paths = inversion.check_sounds(options.sounds)
    app.use_compilation_cache()
    sounds = inversion.load_clips(paths)
    print(f"specjax study: {len(sounds)} sounds", file=sys.stderr, flush=True)
    if question == "parity":
        print(parity.format_table(parity.compute_errors(sounds)))
    elif question == "mel":
        print(mel.format_table(mel.compare(sounds, report)))
    else:
        print(inversion.format_table(inversion.compare(sounds, report)))


def run_classifiers(question: str, options: Options) -> None:
    """Run a study that trains classifiers, and print its result as a Markdown table.

    Args:
      question: name of the study: a key of `classifiers.STUDIES`, or `nested`.
      options: command-line options.

    Raises:
      UserError: no base config is named or it is invalid, or a run could not start or be evaluated.
    """
    from specjax.papers.texture.studies import classifiers

    if question == "nested":
        classifiers.cross_validate_nested(options)
    else:
        classifiers.cross_validate(classifiers.STUDIES[question], options)


def run_style(options: Options) -> None:
    """Run the study of style transfer on pairs of sounds, and print its result as a Markdown table.

    Args:
      options: command-line options. `sounds`: paths of sound files, or of folders of them. `examples`: largest number
        of pairs. `config`: config of a classifier of the paper's architecture, which is trained first and whose weights
        are used; without it, the variants with trained weights are left out.

    Raises:
      UserError: fewer than two sounds can be used, or the classifier could not be trained.
    """
    from specjax import papers
    from specjax.engine.study import run
    from specjax.papers.texture.classify import check_convolutions, convolutions
    from specjax.papers.texture.judges import format_table
    from specjax.papers.texture.studies import inversion, style
    from specjax.papers.texture.task import ClassifierTask

    paths = inversion.check_sounds(options.sounds)
    app.use_compilation_cache()
    sounds = inversion.load_clips(paths, style.DURATION_S)
    network = None
    if options.config is not None:
        workdir = options.workdir / "classifier"
        _, task = papers.build(options.require_config())
        if not isinstance(task, ClassifierTask):
            raise UserError(f"--config describes the task {task.name}, expected a classifier: name --config=classifier")
        check_convolutions(task.config, "--config")
        if "stopped" in (result := run(options.config_flags, workdir, 0)):
            raise UserError(f"the training in {workdir} diverged: {result['stopped']}")
        _, task, trained, _ = papers.open_run(workdir)
        assert isinstance(task, ClassifierTask)
        network = convolutions(task.inference, task.inference_variables(trained.state), str(workdir))

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    measures = style.compare(sounds, options.workdir, options.examples, network, report)
    for reference in (style.EQUALIZED, "Ulyanov"):
        print(format_table(measures, reference), end="\n\n")


QUESTIONS: dict[str, Callable[[Options], None]] = {
    **{name: partial(run_study, name) for name in ("inversion", "mel", "parity")},
    "style": run_style,
    **{name: partial(run_classifiers, name) for name in ("axes", "folds", "nested")},
}
