"""Figures 4 to 8 of the paper, from finished runs of an encoder and of a GAN.

Figures 4, 7 and 8 are copies of the samples that the runs have saved: maps of embeddings, generated pictures below the
real pictures that their clips are paired with, and a collage for each era. Figures 5 and 6 plot the logged losses.
"""

from collections.abc import Iterator
from pathlib import Path

from specjax.cli import files
from specjax.cli.config import read_json
from specjax.cli.errors import UserError
from specjax.engine.report.reader import read_curve
from specjax.plots import curves


def collect(encoder_run: Path, gan_run: Path) -> Iterator[tuple[str, bytes]]:
    """Collect all figures.

    Args:
      encoder_run: folder of the run of an encoder.
      gan_run: folder of the run of a GAN.

    Yields:
      The name of each file, and its content as PNG.

    Raises:
      UserError: a folder is not a run of its task, or has no samples or no log of the losses.
    """
    _check_task(encoder_run, "mvnet/encoder")
    _check_task(gan_run, "mvnet/cdcgan")
    yield from _read_samples(encoder_run, 4, "map_*.png")
    losses = {"triplet margin loss": read_curve(encoder_run, "train/loss")}
    yield "figure_5_encoder_loss.png", files.png(curves.plot(losses, "Training of the encoder", "linear"))
    losses = {name: read_curve(gan_run, f"train/{name}.loss") for name in ("generator", "discriminator")}
    yield "figure_6_gan_losses.png", files.png(curves.plot(losses, "Training of the GAN", "linear"))
    yield from _read_samples(gan_run, 7, "pairs.png")
    yield from _read_samples(gan_run, 8, "collage_*.png", only_last=True)


def _check_task(workdir: Path, task: str) -> None:
    found = read_json(workdir / "config.json").get("task")
    if found != task:
        raise UserError(f"{workdir} is a run of {found!r}, expected {task!r}: name another run")


def _read_samples(workdir: Path, figure: int, pattern: str, *, only_last: bool = False) -> Iterator[tuple[str, bytes]]:
    """Read the samples of a run that match a pattern: all of them, or only those of the last step."""
    paths = sorted((workdir / "samples").glob(f"*/{pattern}"))
    if not paths:
        raise UserError(f"{workdir} has no samples {pattern}: train again, with this version, in another folder")
    for path in paths:
        if not only_last:
            yield f"figure_{figure}_{path.parent.name}_{path.name}", path.read_bytes()
        elif path.parent == paths[-1].parent:
            yield f"figure_{figure}_{path.name}", path.read_bytes()
