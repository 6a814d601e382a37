"""Judge of pictures: a classifier of eras, in whose embedding generated pictures are evaluated.

Hardware: one CPU core.
Expected with `--config.data.synthetic_compositions=12`: an accuracy of 100% on 180 held-out pictures, and 97% of the
noise recognized. `tiny`: 97% and 81%.

    python -m specjax.train  --config=judge_era --config.data.source=path/to/museum --workdir=runs/judge_era
    python -m specjax.export --workdir=runs/judge_era --out=bundles/judge_era
    python -m specjax.train  --config=judge_era:tiny      (synthetic museum)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet.judge import JudgeConfig

JUDGE = JudgeConfig(
    noise=0.5,
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
    judge, train = JUDGE, TRAIN
    if variant == "tiny":
        judge = replace(judge, data=replace(judge.data, synthetic_compositions=12), widths=(24, 40, 56))
        train = replace(train, steps=300, eval_every=100, checkpoint_every=300)
    elif variant:
        raise ValueError(f"judge_era:{variant} is unknown: choose judge_era or its variant tiny")
    return ConfigDict({"task": "mvnet/judge", **asdict(train), **asdict(judge)})
