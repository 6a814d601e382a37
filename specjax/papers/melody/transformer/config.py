"""Settings of the melody paper's task `melody/transformer`."""

from dataclasses import dataclass, field, replace

from specjax.optim.optimizer import OptimizerConfig
from specjax.papers.melody.representation import FRAMES, MELS, Representation
from specjax.papers.melody.tracks import MusicConfig


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of the transformer.

    width: width of the embeddings.
    layers: number of attention layers, and of feed-forward layers.
    heads: number of attention heads; the width is a multiple of twice this number.
    window: number of blocks to which a block attends, including itself.
    components: number of components of the mixture of the next block's first coefficients.
    mixed: number of first coefficients that are modeled by the mixture.
    """

    width: int = 192
    layers: int = 4
    heads: int = 6
    window: int = 64
    components: int = 8
    mixed: int = 32

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.window, self.components, self.mixed) < 1:
            raise ValueError("model.width, layers, heads, window, components and mixed must be at least 1")
        if self.width % (2 * self.heads):
            raise ValueError(f"model.width={self.width} must be a multiple of twice model.heads={self.heads}")


@dataclass(frozen=True)
class TransformerConfig:
    """Settings of the task `melody/transformer`: a causal transformer predicts mel spectrograms block by block.

    data: source of the music.
    representation: scale of the values.
    block_frames: number of frames of a block.
    deviations: root mean square of each coefficient of a block in the training clips, by which it is divided. Empty:
      computed from the data when training starts.
    model: architecture.
    optimizer: optimizer, learning rate schedule, and moving average of the parameters.
    judge: bundle of a judge, in whose embedding held-out and generated clips are compared. Empty: no such metrics.
    """

    data: MusicConfig = MusicConfig()
    representation: Representation = Representation()
    block_frames: int = 4
    deviations: tuple[float, ...] = ()
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = OptimizerConfig()
    judge: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.block_frames <= FRAMES:
            raise ValueError(f"block_frames={self.block_frames} must lie between 1 and {FRAMES}")
        if self.model.mixed > self.coefficients:
            raise ValueError(f"model.mixed={self.model.mixed} must be at most {self.coefficients}, the size of a block")
        if self.deviations and len(self.deviations) != self.coefficients:
            raise ValueError(
                f"deviations has {len(self.deviations)} values, expected one for each of {self.coefficients} "
                "coefficients of a block"
            )
        if self.representation.scale != "db":
            raise ValueError(f"representation.scale={self.representation.scale!r} must be 'db' for a transformer")

    @property
    def coefficients(self) -> int:
        """Number of coefficients of a block."""
        return self.block_frames * MELS

    def resolve(self) -> "TransformerConfig":
        """Fill in the genres, and the statistics of the training clips and of their coefficients, from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        from specjax.papers.melody import data
        from specjax.papers.melody.blocks import measure_deviations

        music, representation = data.resolve(self.data, self.representation)
        deviations = self.deviations or measure_deviations(data.load(music)[0], representation, self.block_frames)
        return replace(self, data=music, representation=representation, deviations=deviations)
