"""python -m specjax.study heads --config=unet:small --config.data.source=path/to/mnist [--seeds=N] [--workdir=DIR]

Answers one of the questions that a paper leaves open: trains each variant from several seeds, measures them on
held-out examples, and prints a table with 95% intervals. `figures` draws the paper's figures instead. Stopped, the same
command goes on where it was.

python -m specjax.study inversion|mel|parity --sounds=DIR,a.wav,...

Spectral convergence of every inversion method on sounds, beside librosa's; of sounds made again of their mel
spectrograms; or how far every representation is from librosa's.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from specjax import cli, wings
from specjax.engine.task import Task
from specjax.errors import Refusal
from specjax.studies.chord import MEASURES, STUDIES
from specjax.studies.study import answer, table

FIGURES, INVERSION, MEL, PARITY = "figures", "inversion", "mel", "parity"

POSITIONAL = 1
CONFIG = config_flags.DEFINE_config_file("config", None, "what is varied, such as unet:small", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", "runs/studies", "folder of the runs, one below it for each")
SEEDS = flags.DEFINE_integer("seeds", 0, "seeds of every variant; 0 leaves it to the question", lower_bound=0)
SOUNDS = flags.DEFINE_list("sounds", [], "sound files, and folders of them, to invert")
EXAMPLES = flags.DEFINE_integer("examples", 1000, "how many held-out examples to measure; 0 means all", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    questions = (*STUDIES, FIGURES, INVERSION, MEL, PARITY)
    if len(argv) < 2 or argv[1] not in questions:
        raise Refusal(f"name a question: one of {', '.join(questions)}")
    if argv[1] in (INVERSION, MEL, PARITY):
        return listen(argv[1])
    if CONFIG.value is None:
        raise Refusal("--config is missing: say --config=unet:small")
    clock, task = wings.build(CONFIG.value.to_dict())
    folder = Path(WORKDIR.value) / argv[1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"--workdir={WORKDIR.value} cannot be written: {error.strerror}") from error
    config_words = [word for word in sys.argv[1:] if word.lstrip("-").startswith("config")]
    if argv[1] == FIGURES:
        draw_figures(task, clock.steps, config_words, folder)
        return
    study = STUDIES[argv[1]]
    seeds = range(SEEDS.value or study.seeds)
    print(f"specjax study: {len(study.variants)} variants, {len(seeds)} seeds", file=sys.stderr, flush=True)
    results = answer(study, config_words, seeds, folder, EXAMPLES.value)
    print(table(study, results, MEASURES))


def draw_figures(task: Task, steps: int, config_words: Sequence[str], folder: Path) -> None:
    from specjax.studies import figures

    cli.need("matplotlib", "figures", extra="plots")
    _, held_out = task.load()
    for path in figures.remake(held_out, steps, config_words, folder):
        print(path)


def listen(question: str) -> None:
    from specjax.studies import from_mel, inversion, parity

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    places = inversion.check(SOUNDS.value)
    cli.use_compilation_cache()
    sounds = inversion.clips(places)
    print(f"specjax study: {len(sounds)} sounds", file=sys.stderr, flush=True)
    if question == PARITY:
        print(parity.table(parity.errors(sounds)))
        return
    about = from_mel if question == MEL else inversion
    print(about.table(about.compare(sounds, report)))


if __name__ == "__main__":
    cli.run(main)
