"""Reproduction of Figures 1 to 6 of the chord paper.

Figures 1 and 2 show a noise field and a target spectrogram at the paper's 1008x1008 pixels. The other figures show
training runs, whose settings are the given config with some values overridden.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.engine.report.reader import read_curve
from specjax.engine.study import Overrides, run
from specjax.papers.chord import conditioning, theory
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.data import Digits
from specjax.plots import curves, render

LABEL = 4

# Overrides that give the network as in the paper: `_HUBER` trains it with the Huber loss alone, and `_MIX` with the
# final mix of losses of its authors.
_HUBER: Overrides = {
    "model.head": "paper", "model.labels": 0, "model.dropout": 0.0, "model.batch_norm": False,
    "loss.huber.value": 1.0, "loss.rows.value": 0.0, "loss.l1.end": 0.0, "loss.label.value": 0.0,
}  # fmt: skip
_MIX: Overrides = {**_HUBER, "loss.huber.value": 0.65, "loss.ms_ssim.value": 0.34, "loss.fft.value": 1e-4}


def trainings(steps: int) -> dict[str, Overrides]:
    """Return the training runs with which Figures 3 to 6 of the chord paper are reproduced.

    `huber`: the paper's network, trained with the Huber loss alone.
    `mix`: the paper's network, trained with the weighted sum of Huber, MS-SSIM and FFT losses of the paper's authors.
    `rising`: like `mix`, but the weight of the FFT loss rises linearly from 0 to 1, and gradients are not clipped.
    `rising_clipped`: like `rising`, with gradients clipped to norm 1.
    `ours`: the base config without changes.

    Args:
      steps: number of updates over which the weight of the FFT loss rises.

    Returns:
      Changes of the base config by name of the run. Changes are values by dotted key, such as `loss.fft.value`.
    """
    rising = {**_MIX, "loss.fft.kind": "linear", "loss.fft.value": 0.0, "loss.fft.end": 1.0,
              "loss.fft.over": steps}  # fmt: skip
    return {
        "rising": {**rising, "optimizer.clip": 0.0},
        "rising_clipped": {**rising, "optimizer.clip": 1.0},
        "huber": _HUBER,
        "mix": _MIX,
        "ours": {},
    }


def remake(digits: Digits, steps: int, config_flags: Sequence[str], folder: Path) -> list[Path]:
    """Reproduce Figures 1 to 6 of the chord paper: train the networks that they show, and draw them.

    The training runs are those of `trainings`. A run that is already complete in `folder` is not repeated.

    Args:
      digits: digits with labels; Figure 2 shows the target spectrogram of one of them.
      steps: number of updates of each training run, equal to `steps` in the base config.
      config_flags: command-line flags that select the base config, such as `--config=unet_paper`.
      folder: where the figures are written. Each training run has a subfolder of its own name.

    Returns:
      Paths of the figures: `figure_1.png` to `figure_6.png`, and `figure_6_losses.png`.

    Raises:
      UserError: a run could not start, or stopped early. The runs `rising` and `rising_clipped` may stop early, since
        they show a loss that explodes.
    """
    middle = max(steps // 2, 1)
    for name, overrides in trainings(steps).items():
        flags = [f"--config.{key}={value}" for key, value in {**overrides, "sample_every": middle}.items()]
        result = run([*config_flags, *flags], folder / name, 1)
        if "stopped" in result and not name.startswith("rising"):
            raise UserError(
                f"the training in {folder / name} stopped: {result['stopped']}; delete the folder to train again"
            )

    def read_sheet(name: str, step: int) -> bytes:
        return (folder / name / "samples" / f"{step:07d}" / "contact_sheet.png").read_bytes()

    noise, target = _compute_noise_and_target(digits)
    chord = f"a {LABEL}, {theory.note_name(LABEL)} major with all harmonics"
    explosion = {
        "gradient norm": read_curve(folder / "rising", "train/grad_norm"),
        "gradient norm, clipped at 1": read_curve(folder / "rising_clipped", "train/grad_norm"),
        "FFT loss": read_curve(folder / "rising", "train/loss.fft"),
        "FFT loss, clipped at 1": read_curve(folder / "rising_clipped", "train/loss.fft"),
    }
    losses = {
        heading: read_curve(folder / "mix", f"train/loss.{name}")
        for name, heading in (("huber", "Huber"), ("ms_ssim", "1 - MS-SSIM"), ("fft", "FFT"))
    }
    pictures = {
        "figure_1.png": files.png(
            render.spectrogram(noise, title="Perlin noise that multiplies the spectrogram, stretched to [0, 1]")
        ),
        "figure_2.png": files.png(render.spectrogram(target, title=f"Conditioned spectrogram of {chord}")),
        "figure_3.png": files.png(curves.plot(explosion, "Rising weight of the FFT loss, the paper's network")),
        "figure_4.png": read_sheet("huber", steps),
        "figure_5.png": read_sheet("ours", steps),
        "figure_6.png": read_sheet("mix", middle),
        "figure_6_losses.png": files.png(curves.plot(losses, "The authors' mix of losses")),
    }
    for name, picture in pictures.items():
        files.write_atomic(folder / name, picture)
    return [folder / name for name in pictures]


def _compute_noise_and_target(digits: Digits) -> tuple[Float[np.ndarray, "1008 1008"], Float[np.ndarray, "1008 1008"]]:
    """Compute the images of Figures 1 and 2 of the chord paper.

    Args:
      digits: digits with labels; the first one with the label `LABEL` is used.

    Returns:
      Figure 1: Perlin noise, scaled to [0, 1].
      Figure 2: target spectrogram of the digit. It shows a major chord with all harmonics, and contains the noise of
        Figure 1.
    """
    config = Conditioning(partials="harmonics", carry="pixels")
    digit = digits.image[np.flatnonzero(digits.label == LABEL)[0]]
    key = jax.random.key(0)
    noise_key, _ = jax.random.split(key)  # as in `conditioning.target`
    noise = conditioning.min_max(conditioning.noise_field(noise_key, config))
    operators = conditioning.operators(config)
    image = jnp.asarray(digit, jnp.float32) / 255.0
    target = conditioning.target(operators, config, image, jnp.int32(LABEL), jnp.int32(0), key)
    return np.asarray(noise), np.asarray(target)
