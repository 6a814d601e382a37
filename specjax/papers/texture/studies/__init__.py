"""Questions about sound that the texture paper raises, answered on sound files."""

import sys
from collections.abc import Callable
from functools import partial

from specjax.cli import app
from specjax.engine.study import Options


def listen(question: str, options: Options) -> None:
    """Answer one question on the sounds given, and print its table."""
    from specjax.papers.texture.studies import inversion, mel, parity

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    places = inversion.check(options.sounds)
    app.use_compilation_cache()
    sounds = inversion.clips(places)
    print(f"specjax study: {len(sounds)} sounds", file=sys.stderr, flush=True)
    if question == "parity":
        print(parity.table(parity.errors(sounds)))
    elif question == "mel":
        print(mel.table(mel.compare(sounds, report)))
    else:
        print(inversion.table(inversion.compare(sounds, report)))


QUESTIONS: dict[str, Callable[[Options], None]] = {
    name: partial(listen, name) for name in ("inversion", "mel", "parity")
}
