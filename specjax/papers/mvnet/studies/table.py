"""Table that compares generators of pictures with control rows, by the metrics of `evaluation` and memorization."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.study import Result, remember
from specjax.measure.comparison import NEIGHBORS
from specjax.measure.memorization import memorization_ratios
from specjax.papers.mvnet import data, evaluation
from specjax.papers.mvnet.catalog import list_works
from specjax.papers.mvnet.conditions import Conditions, compute_conditions
from specjax.papers.mvnet.dataset import Museum, MuseumConfig
from specjax.papers.mvnet.features import measure_music
from specjax.papers.mvnet.inference import GanInference, Painter
from specjax.papers.mvnet.judge import JudgeInference, OpenJudge
from specjax.papers.mvnet.pictures import Values, to_pixels, to_values
from specjax.papers.mvnet.refinement import Refiner
from specjax.papers.mvnet.studies import controls
from specjax.papers.mvnet.studies.controls import Pixels, Vectors

COPIES, NOISE = "copies", "moment-matched noise"
_BLOCK = 32  # clips or pictures per call

Pictures = tuple[Pixels, Pixels]  # two for each pair of a clip and a picture


@dataclass(frozen=True)
class Comparison:
    """Computes the metrics of the rows of the table. Results are saved, and not computed again.

    judge: the judge.
    digest: digest of the judge's bundle.
    config: the data set, with the names of its eras, as mel power.
    max_pairs: largest number of held-out pairs in a row; 0 for all.
    folder: folder of the results.
    report: progress callback, called with a line of text.
    """

    judge: OpenJudge
    digest: str
    config: MuseumConfig
    max_pairs: int
    folder: Path
    report: Callable[[str], None]

    def measure(self, bundles: Mapping[str, Path]) -> dict[str, Result]:
        """Measure the control rows, a row for each bundle, and a row of refined pictures if it has a second stage.

        Args:
          bundles: folders of generators, by name. The copies are chosen by the conditions of the first one.

        Returns:
          The metrics of `evaluation.summarize` of each row by name, without `eval/`, and `memorization` and
          `memorization_lowest`: the median and the 5% quantile of `memorization_ratios`.

        Raises:
          UserError: a bundle is missing or damaged, paints other eras, or has the name of a control row.
        """
        painters = {name: self._open(name, folder) for name, folder in bundles.items()}
        digests = {name: bundle.digest(folder) for name, folder in bundles.items()}
        first = next(iter(bundles))
        rows = {
            COPIES: self._measure_row(
                COPIES, f"{COPIES} chosen by {digests[first]}", partial(self._copy, painters[first])
            ),
            NOISE: self._measure_row(NOISE, NOISE, self._draw_noise),
        }
        for name, painter in painters.items():
            rows[name] = self._measure_row(name, digests[name], partial(self._paint, painter))
            if painter.refiner is not None:
                refined = f"{name}, refined"
                rows[refined] = self._measure_row(
                    refined, f"{digests[name]}, refined", partial(self._refine, painter, painter.refiner)
                )
        return rows

    def _open(self, name: str, folder: Path) -> Painter:
        from specjax import papers

        if name in (COPIES, NOISE):
            raise UserError(f"--bundles names {name!r}, which is a control row: choose another name")
        painter: Painter = papers.open_bundle(folder, task="mvnet/cdcgan")
        if painter.networks.config.data.eras != self.config.eras:
            raise UserError(
                f"{folder} paints the eras {', '.join(painter.networks.config.data.eras)}, expected "
                f"{', '.join(self.config.eras)} as judged: use a judge and generators of the same eras"
            )
        return painter

    @cached_property
    def _museums(self) -> tuple[Museum, Museum]:
        return data.load(self.config)

    @cached_property
    def _pairs(self) -> Int[np.ndarray, "pairs 2"]:
        """Held-out pairs that every row uses, spread evenly over all held-out pairs."""
        pairs = self._museums[1].pairs
        count = min(len(pairs), self.max_pairs or len(pairs))
        chosen = pairs[np.linspace(0, len(pairs) - 1, count).round().astype(int)]
        if (pictures := len(np.unique(chosen[:, 1]))) <= NEIGHBORS:
            raise UserError(
                f"the table would have {pictures} different pictures, expected more than {NEIGHBORS}: raise --examples"
            )
        return chosen

    @cached_property
    def _reference(self) -> dict[str, np.ndarray]:
        """Measures of the held-out pairs that are the same for every row."""
        held_out, (clip, picture) = self._museums[1], self._pairs.T
        centroid_hz = data.map_blocks(lambda mel: measure_music(mel).centroid_hz, held_out.mel, _BLOCK)
        return {
            "clip": clip,
            "composition": held_out.composition[clip],
            "picture": picture,
            "era": held_out.clip_era[clip],
            "centroid_hz": centroid_hz[clip],
            **self._measure(held_out.pictures[picture], "real"),
        }

    @cached_property
    def _train_embedding(self) -> Vectors:
        return self._measure(self._museums[0].pictures, "real")["real_embedding"]

    @cached_property
    def _catalog(self) -> str:
        return sha256(repr(list_works(self.config)).encode()).hexdigest()  # differs if a file has changed

    def _measure_row(self, name: str, identity: str, make: Callable[[], Pictures]) -> Result:
        def compute() -> Result:
            self.report(f"{name}: {len(self._pairs)} pairs")
            fake, twin = make()
            measured = self._measure(fake, "fake")
            ratios = memorization_ratios(
                measured["fake_embedding"], self._train_embedding, np.arange(len(self._train_embedding))
            )
            metrics = evaluation.summarize({**self._reference, **measured, **self._measure(twin, "twin")})
            return {
                **{key.removeprefix("eval/"): value for key, value in metrics.items()},
                "memorization": float(np.median(ratios)),
                "memorization_lowest": float(np.quantile(ratios, 0.05)),
            }

        request = {
            "judge": self.digest,
            "data": asdict(self.config),
            "works": self._catalog,
            "pairs": self.max_pairs,
            "row": identity,
        }
        return remember(self.folder, request, compute)

    def _measure(self, pixels: Pixels, kind: str) -> dict[str, np.ndarray]:
        """Measure pictures, see `evaluation.measure`."""
        inference, variables = self.judge
        measured: dict[str, np.ndarray] = data.map_blocks(partial(_measure, inference, kind, variables), pixels, _BLOCK)
        return measured

    def _copy(self, painter: Painter) -> Pictures:
        train, held_out = self._museums
        return controls.copy_pictures(
            train, _compute_conditions(painter, train), _compute_conditions(painter, held_out), self._pairs[:, 0]
        )

    def _draw_noise(self) -> Pictures:
        train, era, rng = self._museums[0], self._reference["era"], np.random.default_rng(0)
        return controls.draw_noise(train, era, rng), controls.draw_noise(train, era, rng)

    def _paint(self, painter: Painter) -> Pictures:
        condition = _compute_conditions(painter, self._museums[1])[self._pairs[:, 0]]
        fake, twin = (_generate(painter, condition, jax.random.key(seed)) for seed in (0, 1))
        return fake, twin

    def _refine(self, painter: Painter, refiner: Refiner) -> Pictures:
        fake, twin = (np.stack([*map(refiner.refine_towards_nearest, pixels)]) for pixels in self._paint(painter))
        return fake, twin


@partial(jax.jit, static_argnums=(0, 1))
def _measure(
    judge: JudgeInference, kind: str, variables: Any, pixels: UInt8[Array, "batch 64 64 3"]
) -> dict[str, Array]:
    return evaluation.measure(to_values(pixels), kind, judge, variables)


def _compute_conditions(painter: Painter, museum: Museum) -> Vectors:
    """Compute the conditions of all clips."""
    compute = jax.jit(partial(compute_conditions, painter.networks.config.condition, painter.encoder.inference))
    conditions: Vectors = data.map_blocks(lambda mel: compute(painter.encoder.variables, mel), museum.mel, _BLOCK)
    return conditions


def _generate(painter: Painter, conditions: Vectors, key: Key[Array, ""]) -> Pixels:
    """Paint a picture from each clip, given by its condition."""
    inputs = np.arange(len(conditions)), conditions
    parts = []
    for start in range(0, len(conditions), _BLOCK):
        number, condition = (
            np.take(x, np.arange(start, start + _BLOCK), axis=0, mode="wrap") for x in inputs
        )  # of constant size, to compile once
        parts.append(to_pixels(_generate_block(painter.networks, painter.generator, key, number, condition)))
    return np.concatenate(parts)[: len(conditions)]


@partial(jax.jit, static_argnums=0)
def _generate_block(
    networks: GanInference,
    variables: Any,
    key: Key[Array, ""],
    number: Int[Array, " batch"],
    condition: Conditions,
) -> Values:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, number)
    return networks.generate(variables, networks.draw_latents(keys), condition)


def format_table(digest: str, results: Mapping[str, Result]) -> str:
    """Format the results of all rows as a Markdown table, below a line that names the judge.

    Args:
      digest: digest of the judge.
      results: results of `Comparison.measure`.
    """
    real = next(iter(results.values()))
    cells = {name: _format_row(result) for name, result in results.items()}
    headings = list(next(iter(cells.values())))
    lines = [
        f"Judge {digest}, accuracy {real['judge_accuracy_real']:.1%} on {real['pictures']:.0f} held-out pictures; "
        f"N = {real['pairs']:.0f} pairs in every row.",
        "",
        "| | " + " | ".join(headings) + " |",
        "|---|" + "--:|" * len(headings),
    ]
    return "\n".join(lines + [f"| {name} | " + " | ".join(own.values()) + " |" for name, own in cells.items()])


def _format_row(result: Result) -> dict[str, str]:
    """Format the cells of a row by heading."""
    return {
        "diversity (worst era)": f"{result['diversity']:.2f} ({result['diversity_worst_era']:.2f})",
        "same music": f"{result['diversity_same_music']:.2f}",
        **{name: f"{result[name]:.2f}" for name in ("precision", "recall", "density", "coverage")},
        "kernel distance": f"{result['kernel_distance']:.3g} ± {result['kernel_distance_half_width']:.2g}",
        "judge right (shuffled)": f"{result['judge_accuracy']:.1%} ({result['judge_accuracy_shuffled']:.0%})",
        "taken for noise": f"{result['judge_noise']:.0%}",
        "follows (interval; shuffled)": f"{result['follows']:.2f} ({result['follows_low']:.2f} to "
        f"{result['follows_high']:.2f}; {result['follows_shuffled']:.2f})",
        "nearest training picture": f"{result['memorization']:.2f} (lowest 5%: {result['memorization_lowest']:.2f})",
    }
