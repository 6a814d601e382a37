"""Judge of music: a classifier of the genre of clips of 10 s, in whose embedding generated music is evaluated.

Hardware: one CPU core.
Expected: `tiny` classifies all 60 held-out clips correctly, and recognizes 82% of the noise after 400 updates.

    python -m specjax.train  --config=judge_genre --config.data.source=path/to/genres --workdir=runs/judge
    python -m specjax.export --workdir=runs/judge --out=bundles/judge
    python -m specjax.train  --config=judge_genre:tiny      (five genres of synthetic music, for `make demo-melody`)
"""

from dataclasses import asdict, replace

from ml_collections import ConfigDict

from specjax.engine.config import TrainConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody.judge import JudgeConfig
from specjax.papers.melody.tracks import MusicConfig

JUDGE = JudgeConfig(
    noise=0.25,
    data=MusicConfig(hop_s=5.0),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=2e-3, warmup=50), clip=5.0, weight_decay=0.02),
)
DEMO_GENRES = ("classical", "disco", "hiphop", "metal", "reggae")  # those of gan:tiny
TRAIN = TrainConfig(steps=1000, batch_size=16, eval_every=200, eval_batch=16, checkpoint_every=200)


def get_config(variant: str = "") -> ConfigDict:
    """Return the config.

    Args:
      variant: empty for the full network, `tiny` for a narrow one and a short training run.

    Raises:
      ValueError: the variant is unknown.
    """
    judge, train = JUDGE, TRAIN
    if variant == "tiny":
        data = replace(judge.data, genres=DEMO_GENRES, synthetic_tracks=20)
        judge = replace(judge, widths=(32, 32, 32), data=data)
        train = replace(train, steps=300, eval_every=100, checkpoint_every=300)
    elif variant:
        raise ValueError(f"judge_genre:{variant} is unknown: choose judge_genre or its variant tiny")
    return ConfigDict({"task": "melody/judge", **asdict(train), **asdict(judge)})
