"""Second stage of painting: a classifier of eras whose features define styles, exported with styles of each era.

Hardware: one CPU core.
Expected: refined pictures are nearer to real ones in the embedding of a judge; docs/mvnet.md has the metrics. `tiny`
takes 15 seconds on one core.

    python -m specjax.train  --config=style --config.data.source=path/to/museum --workdir=runs/style
    python -m specjax.export --workdir=runs/style --out=bundles/style
    python -m specjax.synth refine picture.jpg --bundle=bundles/style --era=baroque --size=256 --out=refined.png
    python -m specjax.train  --config=style:tiny      (synthetic museum)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.augment import AugmentConfig
from specjax.papers.mvnet.style import StyleConfig

STYLE = StyleConfig(
    augment=AugmentConfig(translation=0.125),  # colors are part of a style
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=2e-3, warmup=50), clip=5.0, weight_decay=0.02),
)
TRAIN = TrainConfig(steps=1000, batch_size=32, eval_every=200, eval_batch=60, checkpoint_every=200)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full network, `tiny` for a narrow one and a short training run on fewer pictures.

    Raises:
      ValueError: the variant is unknown.
    """
    style, train = STYLE, TRAIN
    if variant == "tiny":
        style = replace(style, data=replace(style.data, synthetic_compositions=12), widths=(16, 32, 48))
        train = replace(train, steps=150, eval_every=50, checkpoint_every=150)
    elif variant:
        raise ValueError(f"style:{variant} is unknown: choose style or its variant tiny")
    return ConfigDict({"task": "mvnet/style", **asdict(train), **asdict(style)})
