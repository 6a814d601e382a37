"""Both networks of the GAN, and inference with a trained generator: pictures of pieces of music."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from specjax.cli.config import read_json
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.engine import bundle, sharding
from specjax.engine.bundle import Bundle
from specjax.papers.mvnet import paper_model
from specjax.papers.mvnet.conditions import Conditions, compute_conditions
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import PICTURE_SIZE
from specjax.papers.mvnet.encoder import EncoderInference, Variables, open_encoder
from specjax.papers.mvnet.model import Discriminator, Generator
from specjax.papers.mvnet.pictures import Values, to_pixels
from specjax.papers.mvnet.refinement import Refiner, open_style
from specjax.papers.mvnet.representation import CLIP_S, CLIP_SAMPLES, SAMPLE_RATE, clip_mel

Latents = Float[Array, "batch latents"]
Scores = Float[Array, " batch"]


@dataclass(frozen=True)
class GanInference:
    """Methods that use the networks of a GAN. Their variables are not stored here: methods take them as an argument.

    config: settings, with the names of the eras filled in.
    conditions: width of a condition.
    """

    config: GanConfig
    conditions: int

    @cached_property
    def generator(self) -> nn.Module:
        """The generator."""
        c = self.config
        if c.approach == "residual":
            return Generator(c.model)
        return paper_model.PaperGenerator(tuple(x // c.paper_divisor for x in paper_model.GENERATOR_WIDTHS))

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminator."""
        c = self.config
        if c.approach == "residual":
            return Discriminator(c.model)
        return paper_model.PaperDiscriminator(tuple(x // c.paper_divisor for x in paper_model.DISCRIMINATOR_WIDTHS))

    def init(self, key: Key[Array, ""]) -> tuple[Variables, Variables]:
        """Initialize the variables of the generator and of the discriminator."""
        generator_key, discriminator_key = jax.random.split(key)
        condition, values = jnp.zeros((1, self.conditions)), jnp.zeros((1, PICTURE_SIZE, PICTURE_SIZE, 3))
        generator = self.generator.init(generator_key, self.draw_latents(key[None]), condition)
        discriminator = self.discriminator.init(discriminator_key, *self._discriminator_inputs(values, condition))
        return dict(generator), dict(discriminator)

    def init_generator(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables of the generator."""
        return self.init(key)[0]

    def draw_latents(self, keys: Key[Array, " batch"]) -> Latents:
        """Draw one latent vector per key, normally distributed."""
        size = self.config.model.latents if self.config.approach == "residual" else paper_model.LATENT
        return jax.vmap(lambda key: jax.random.normal(key, (size,)))(keys)

    def _discriminator_inputs(self, values: Values, condition: Conditions) -> tuple[Array, ...]:
        return (values, condition) if self.config.approach == "residual" else (values,)

    def generate(self, variables: Variables, latents: Latents, condition: Conditions) -> Values:
        """Generate pictures from latent vectors and the conditions of clips."""
        return cast(Values, self.generator.apply({"params": variables["params"]}, latents, condition))

    def score(self, variables: Variables, values: Values, condition: Conditions) -> Scores:
        """Compute scores of pictures, higher for those that look real and match the condition."""
        return cast(Scores, self.discriminator.apply(variables, *self._discriminator_inputs(values, condition)))

    def generate_in_training(
        self, variables: Variables, latents: Latents, condition: Conditions
    ) -> tuple[Values, Variables]:
        """Generate pictures; return them and an empty dict, as no normalization layer has running statistics."""
        return self.generate(variables, latents, condition), {}

    def score_in_training(
        self, variables: Variables, values: Values, condition: Conditions, key: Key[Array, ""]
    ) -> tuple[Scores, Variables]:
        """Score pictures as in training; return the scores and the updated statistics of the normalization layers.

        `key` is not used.
        """
        inputs = self._discriminator_inputs(values, condition)
        if self.config.approach == "residual":
            return self.score({"params": variables["params"]}, values, condition), {}
        scores, updates = self.discriminator.apply(variables, *inputs, training=True, mutable=["batch_stats"])
        return scores, updates["batch_stats"]


class OpenEncoder(NamedTuple):
    """An encoder and the variables of its network."""

    inference: EncoderInference
    variables: Variables


def load_encoder(folder: str, eras: tuple[str, ...]) -> OpenEncoder:
    """Open an encoder from a bundle or from the folder of a run.

    Args:
      folder: the folder.
      eras: eras of the data, which must be those that the encoder was trained on, in the same order.

    Raises:
      UserError: `folder` is empty, it is neither a bundle nor a run of the task `mvnet/encoder`, or the encoder was
        trained on other eras.
    """
    if not folder:
        raise UserError(
            "config.encoder='' names no encoder: train one, and name its run or bundle: --config.encoder=runs/encoder"
        )
    encoder = _open_encoder(local_path(folder, "config.encoder"))
    bundle.check_classes(folder, "eras", encoder.inference.config.data.eras, eras)
    return encoder


def _open_encoder(folder: Path) -> OpenEncoder:
    from specjax import papers
    from specjax.papers.mvnet.encoder_task import EncoderTask

    if not (folder / "config.json").is_file():
        return OpenEncoder(*papers.open_bundle(folder, task="mvnet/encoder"))
    name = read_json(folder / "config.json").get("task")
    if name != "mvnet/encoder":
        raise UserError(f"{folder} is a run of {name!r}, expected 'mvnet/encoder': name a run of an encoder")
    with jax.ensure_compile_time_eval():  # The initial state of the GAN may be being traced.
        _, task, run, _ = papers.open_run(folder)
        assert isinstance(task, EncoderTask)
        return OpenEncoder(task.inference, task.inference_variables(sharding.to_host(run.state)))


@dataclass(frozen=True)
class Painter:
    """Paints pictures from music, with a trained generator and the encoder it was trained with.

    networks: architecture of the generator.
    generator: its variables.
    encoder: the encoder.
    refiner: the second stage; None if the bundle has none.
    """

    networks: GanInference
    generator: Variables
    encoder: OpenEncoder
    refiner: Refiner | None = None

    def compute_conditions(self, waves: Float[np.ndarray, "clips samples"]) -> Conditions:
        """Compute the conditions of clips of 8.91 s at 22.05 kHz, with samples in [-1, 1]."""
        return _compute_conditions(self.networks, self.encoder.inference, self.encoder.variables, waves)

    def paint(
        self, waves: Float[np.ndarray, "pictures samples"], keys: Key[Array, " pictures"]
    ) -> UInt8[np.ndarray, "pictures 64 64 3"]:
        """Paint a picture from each clip.

        Args:
          waves: clips of 8.91 s at 22.05 kHz, with samples in [-1, 1].
          keys: random keys of the pictures.
        """
        return to_pixels(
            _paint(self.networks, self.encoder.inference, self.generator, self.encoder.variables, waves, keys)
        )


def require_refiner(opened: Painter | Refiner, folder: Path) -> Refiner:
    """Return the second stage of an opened bundle.

    Args:
      opened: a bundle of the task `mvnet/cdcgan` or `mvnet/style`.
      folder: its folder, for the error message.

    Raises:
      UserError: it has none.
    """
    refiner = opened.refiner if isinstance(opened, Painter) else opened
    if refiner is None:
        raise UserError(
            f"{folder} has no second stage, which refines pictures: train the GAN with --config.style, or name a "
            "bundle of --config=style"
        )
    return refiner


@partial(jax.jit, static_argnums=(0, 1))
def _compute_conditions(
    networks: GanInference,
    encoder: EncoderInference,
    variables: Variables,
    waves: Float[Array, "clips samples"] | Float[np.ndarray, "clips samples"],
) -> Conditions:
    return compute_conditions(networks.config.condition, encoder, variables, clip_mel(jnp.asarray(waves)))


@partial(jax.jit, static_argnums=(0, 1))
def _paint(
    networks: GanInference,
    encoder: EncoderInference,
    generator: Variables,
    encoder_variables: Variables,
    waves: Float[Array, "pictures samples"],
    keys: Key[Array, " pictures"],
) -> Values:
    condition = _compute_conditions(networks, encoder, encoder_variables, waves)
    return networks.generate(generator, networks.draw_latents(keys), condition)


def find_starts(samples: int, count: int, name: str) -> Int[np.ndarray, " count"]:
    """Return the starts of equally spaced clips of 8.91 s in a piece; the first is at its start, the last at its end.

    Args:
      samples: number of samples of the piece at 22.05 kHz.
      count: number of clips. They overlap if the piece is short.
      name: name of the piece, for the error message.

    Returns:
      Index of the first sample of each clip.

    Raises:
      UserError: the piece is shorter than a clip.
    """
    if samples < CLIP_SAMPLES:
        raise UserError(
            f"{name} lasts {samples / SAMPLE_RATE:.2f} s, expected at least {CLIP_S} s: name a longer piece"
        )
    return np.linspace(0, samples - CLIP_SAMPLES, count).round().astype(int)


def open_painter(opened: Bundle, where: str) -> Painter:
    """Prepare a bundle of the task `mvnet/cdcgan` for inference.

    Raises:
      UserError: the bundle has other parts than `generator`, `encoder` and maybe `style`, invalid settings, or tensors
        that do not fit.
    """
    if set(opened.parts) - {"style"} != {"generator", "encoder"}:
        raise UserError(
            f"{where} has the parts {sorted(opened.parts)}, expected ['encoder', 'generator'] and maybe 'style'; "
            "re-export the bundle"
        )
    encoder_part, generator_part, style_part = (
        opened._replace(parts={name: part for name, part in opened.parts.items() if name == wanted})
        for wanted in ("encoder", "generator", "style")
    )
    encoder = OpenEncoder(*open_encoder(encoder_part, where))
    networks, generator = bundle.open_part(
        generator_part,
        where,
        "generator",
        GanConfig,
        lambda config: GanInference(config, config.condition.size(encoder.inference.config.embedding)),
        GanInference.init_generator,
    )
    return Painter(networks, generator, encoder, open_style(style_part, where) if style_part.parts else None)
