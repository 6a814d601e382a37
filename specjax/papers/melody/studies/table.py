"""Table that compares generators of music with control rows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from specjax.engine.adversarial import WON_AUC
from specjax.engine.report.reader import read_curve
from specjax.engine.study import Result, remember
from specjax.measure.intervals import format_share
from specjax.papers.melody import recordings
from specjax.papers.melody.evaluation import OpenJudge
from specjax.papers.melody.studies import embedding, rows, sounds
from specjax.papers.melody.studies.controls import RealMusic
from specjax.papers.melody.studies.rows import REAL, Row
from specjax.papers.melody.tracks import MusicConfig, list_tracks

RowResult = Mapping[str, Result]


class Context(NamedTuple):
    """Results that the metrics of all rows are relative to.

    Attributes:
      judge: digest of the judge's bundle.
      reference: result of `sounds.measure_sounds` for the reference.
      floor: result of `sounds.measure_floor`.
      limits: result of `rows.measure_limits`.
    """

    judge: str
    reference: Result
    floor: Result
    limits: Result


@dataclass(frozen=True)
class Comparison:
    """Computes the metrics of the rows of the table. Results are saved, and not computed again.

    judge: the judge.
    digest: digest of the judge's bundle.
    config: the data set, with the names of its genres.
    max_clips: largest number of clips of each genre in a row; 0 for as many as there are.
    folder: folder of the results.
    report: progress callback, called with a line of text.
    """

    judge: OpenJudge
    digest: str
    config: MusicConfig
    max_clips: int
    folder: Path
    report: Callable[[str], None]

    @cached_property
    def real(self) -> RealMusic:
        """The real clips."""
        return RealMusic(self.config, self.max_clips)

    @cached_property
    def _train(self) -> tuple[np.ndarray, np.ndarray]:
        return embedding.embed_music(self.judge, self.real.train)

    @cached_property
    def _request(self) -> dict[str, Any]:
        tracks = sha256(repr(list_tracks(self.config)).encode()).hexdigest()  # differs if a file has changed
        return {"judge": self.digest, "data": asdict(self.config), "tracks": tracks, "clips": self.max_clips}

    def measure_row(self, name: str, row: Row) -> RowResult:
        """Measure a row.

        Args:
          name: its name, for the progress.
          row: the row.

        Returns:
          Results by kind of measure: `embedding`, `gan_train`, `sounds` and `seams`.
        """
        clips = cache(row.clips)

        def compare() -> Result:
            return embedding.compare_clips(self.judge, self.real.reference, clips(), *self._train)

        def train() -> Result:
            representation = self.judge.inference.config.representation
            return {"accuracy": embedding.train_and_test(clips(), self.real.reference, representation)}

        return {
            "embedding": self._remember(name, row.identity, "embedding", compare),
            "gan_train": self._remember(name, row.identity, "gan_train", train),
            "sounds": self._remember(
                name, row.identity, "sounds", lambda: sounds.measure_sounds(clips(), self.config.tempo_bpm)
            ),
            "seams": self._remember(name, row.identity, "seams", row.ranks),
        }

    def measure_context(self) -> Context:
        """Compute the results that the metrics of all rows are relative to."""

        def measure_floor() -> Result:
            return sounds.measure_floor(recordings.read_waves(self.config, self.real.reference_tracks))

        def measure_sounds() -> Result:
            return sounds.measure_sounds(self.real.reference, self.config.tempo_bpm)

        name = "reference"
        return Context(
            self.digest,
            reference=self._remember(name, name, "sounds", measure_sounds),
            floor=self._remember(name, name, "floor", measure_floor),
            limits=self._remember(name, name, "limits", rows.measure_limits),
        )

    def _remember(self, name: str, identity: str, kind: str, compute: Callable[[], Result]) -> Result:
        def announce() -> Result:
            self.report(f"{name}: {kind}")
            return compute()

        return remember(self.folder, {**self._request, "row": identity, "kind": kind}, announce)


def read_auc(workdir: Path) -> Result:
    """Read the AUC of the discriminator during training from the log of a run.

    Returns:
      `auc`, the median over the second half of the training, and `won`, the fraction of the training during which it
      was 0.99 or more.

    Raises:
      UserError: the run has no such log.
    """
    values = np.array(read_curve(workdir, "train/auc").values)
    return {"auc": float(np.median(values[len(values) // 2 :])), "won": float(np.mean(values >= WON_AUC))}


def format_table(
    context: Context, results: Mapping[str, RowResult], auc: Mapping[str, Result] = MappingProxyType({})
) -> str:
    """Format the results of all rows as a Markdown table, below lines that describe the reference.

    Args:
      context: result of `Comparison.measure_context`.
      results: results of each row by name.
      auc: results of `read_auc` for rows with a run, by name.
    """
    cells = {name: _format_row(context, result) for name, result in results.items()}
    if auc:
        for name, own in cells.items():
            known = auc.get(name)
            own["AUC in training"] = f"{known['auc']:.2f} (won: {known['won']:.0%})" if known else ""
    headings = list(cells[REAL])
    return "\n".join(
        [
            *_describe_context(context, results[REAL]["embedding"]),
            "| | " + " | ".join(headings) + " |",
            "|---|" + "--:|" * len(headings),
            *(f"| {name} | " + " | ".join(own.values()) + " |" for name, own in cells.items()),
        ]
    )


def _describe_context(context: Context, real: Result) -> list[str]:
    """Describe the reference in Markdown, given the results of the row of real clips."""
    mean = {name: float(np.mean(values)) for name, values in context.floor.items()}
    return [
        f"Judge {context.judge}, accuracy {real['accuracy_reference']:.1%} on held-out clips; N = "
        f"{real['clips']:.0f} clips in every row and in the reference. GAN-train: {embedding.TRAIN_STEPS} steps of "
        f"{embedding.TRAIN_BATCH} clips. Sounds: {sounds.CLIPS} clips of each genre.",
        "",
        f"Reconstruction error, real -> mel -> sound: {mean['linear_db']:.1f} dB linear, {mean['mel_db']:.1f} dB mel; "
        f"RMS {mean['rms_db']:+.1f} dB and crest factor {mean['crest_db']:+.1f} dB relative to the recordings"
        + "".join(f"; {text} {share}" for text, share in _tempo_cells(context.reference).items())
        + ".",
        "",
        f"Seams: fraction of pieces of 60 s with a rank above {context.limits['pieces']:.2f}, and of loops "
        f"above {context.limits['loops']:.2f}, which 5% of recordings exceed.",
        "",
    ]


def _format_row(context: Context, result: RowResult) -> dict[str, str]:
    """Format the cells of a row by heading."""
    judged = result["embedding"]
    cells = {
        "judge right": f"{judged['accuracy']:.1%}",
        "taken for noise": f"{judged['noise']:.0%}",
        "GAN-train": f"{result['gan_train']['accuracy']:.1%}",
        **{name: f"{judged[name]:.2f}" for name in ("precision", "recall", "density", "coverage")},
        "kernel distance": f"{judged['kernel_distance']:.3g} ± {judged['kernel_half_width']:.2g}",
        "Frechet": f"{judged['frechet']:.3g}",
        "outer thirds, dB": f"{judged['outer_thirds_db']:+.1f}",
        "mel level, dB": f"{judged['level_db']:+.1f}",
    }
    for heading, key in (("RMS, dB", "rms_db"), ("crest factor, dB", "crest_db")):
        cells[heading] = f"{np.mean(result['sounds'][key]) - np.mean(context.reference[key]):+.1f}"
    cells |= _tempo_cells(result["sounds"])
    cells["nearest training clip"] = f"{judged['memorization']:.2f} (lowest 5%: {judged['memorization_lowest']:.2f})"
    for heading, kind in (("60 s with seams", "pieces"), ("loops with seams", "loops")):
        ranks = result["seams"].get(kind, [])
        cells[heading] = format_share(int(np.sum(np.array(ranks) > context.limits[kind])), len(ranks))
    return cells


def _tempo_cells(measured: Result) -> dict[str, str]:
    """Format the fractions of sounds in tempo by heading; empty without a common tempo."""
    if "octaves" not in measured:
        return {}
    total = len(measured["octaves"])
    exact, octave = sounds.count_in_tempo(measured["octaves"])
    return {"in tempo": format_share(exact, total), "half or twice the tempo": format_share(octave, total)}
