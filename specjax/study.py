"""python -m specjax.study QUESTION [--config=unet:small ...] [--seeds=N] [--workdir=DIR] [--sounds=DIR,a.wav]

Answers a question that a paper leaves open. `specjax study` alone lists the questions. Those about training take a
--config: each variant is trained from several seeds and measured on held-out examples, and a table with 95% intervals
is printed. Those about sound take --sounds. Run the same command again to continue after an interruption.

    python -m specjax.study heads --config=unet:small --config.data.source=path/to/mnist
    python -m specjax.study inversion --sounds=path/to/sounds
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from specjax import papers
from specjax.cli import app
from specjax.cli.errors import UserError
from specjax.engine.study import Options

POSITIONAL = 1
CONFIG = config_flags.DEFINE_config_file("config", None, "config to vary, such as unet:small", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", "runs/studies", "folder of all studies; each gets a subfolder")
SEEDS = flags.DEFINE_integer("seeds", 0, "seeds of every variant; 0 leaves it to the question", lower_bound=0)
SOUNDS = flags.DEFINE_list("sounds", [], "sound files, and folders of them")
EXAMPLES = flags.DEFINE_integer("examples", 1000, "held-out examples to measure; 0 means all", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    questions = _questions()
    if len(argv) < 2 or argv[1] not in questions:
        raise UserError(f"name a question: one of {', '.join(questions)}")
    options = Options(
        config=None if CONFIG.value is None else CONFIG.value.to_dict(),
        config_flags=[word for word in sys.argv[1:] if word.lstrip("-").startswith("config")],
        workdir=Path(WORKDIR.value) / argv[1],
        seeds=SEEDS.value,
        examples=EXAMPLES.value,
        sounds=SOUNDS.value,
    )
    questions[argv[1]](options)


def _questions() -> dict[str, Callable[[Options], None]]:
    """The questions of every paper, by name."""
    modules = [papers.module(paper, "studies") for paper in papers.PAPERS]
    return {name: answer for module in modules if module for name, answer in module.QUESTIONS.items()}


if __name__ == "__main__":
    app.run(main)
