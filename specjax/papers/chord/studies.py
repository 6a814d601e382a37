"""Studies for `specjax study` that train variants of the chord network and compare them (chord paper, sections 4 to 6).

Each study varies one factor that the paper tried or left open. The folder of a run is named after its variant and seed.
"""

from collections.abc import Callable
from functools import partial

from specjax import papers
from specjax.engine.study import Measure, Options, Study, train_variants

MEASURES = (
    Measure("eval/exact_notes", "exact triads", 100.0, "{:.1f}%"),
    Measure("eval/label_named", "named right", 100.0, "{:.1f}%"),
    Measure("eval/off_chord_db", "off-chord, dB", 1.0, "{:.1f}"),
    Measure("eval/r_squared", "R^2", 1.0, "{:.3f}"),
    Measure("eval/ms_ssim", "MS-SSIM", 1.0, "{:.4f}"),
    Measure("eval/brightest", "brightest level", 1.0, "{:.2f}"),
)

# Overrides that train with the Huber loss alone, without the digit classifier.
_HUBER = {"loss.huber.value": 1.0, "loss.rows.value": 0.0, "loss.l1.end": 0.0, "loss.label.value": 0.0,
          "model.labels": 0, "model.dropout": 0.0}  # fmt: skip
_NO_CLASSIFIER = {"loss.label.value": 0.0, "model.labels": 0, "model.dropout": 0.0}

STUDIES = {
    "heads": Study(
        "The paper's head against one that can place a maximum in any row, after equally many updates.",
        {
            "paper's head": {"model.head": "paper", **_NO_CLASSIFIER},
            "rows": _NO_CLASSIFIER,
            "rows and classifier": {},
        },
        seeds=3,
    ),
    "losses": Study(
        "Mixes of losses, including those that diverged for the paper's authors.",
        {
            "Huber": _HUBER,
            "MSE": {**_HUBER, "loss.huber.value": 0.0, "loss.mse.value": 1.0},
            "L1": {**_HUBER, "loss.huber.value": 0.0, "loss.l1.value": 1.0, "loss.l1.end": 1.0},
            "Huber + MS-SSIM": {**_HUBER, "loss.huber.value": 0.65, "loss.ms_ssim.value": 0.34},
            "Huber + MS-SSIM + FFT": {
                **_HUBER,
                "loss.huber.value": 0.65,
                "loss.ms_ssim.value": 0.34,
                "loss.fft.value": 1e-4,
            },
            "Huber + STFT": {**_HUBER, "loss.stft.value": 0.1},
            "Huber + waveform": {**_HUBER, "loss.waveform.value": 0.1},
            "Huber + Sobel": {**_HUBER, "loss.sobel.value": 0.1},
            "Huber + row sums": {**_HUBER, "loss.rows.value": 0.03},
            "Huber + row sums + rising L1": _NO_CLASSIFIER,
        },
        seeds=10,
    ),
    "classifier": Study(
        "The weight of the loss `label` of the digit classifier (none: no classifier), and its regularization.",
        {
            "none": _NO_CLASSIFIER,
            **{f"{w:g}": {"loss.label.value": w} for w in (0.05, 0.2, 1.0, 5.0)},
            "1, no dropout": {"model.dropout": 0.0},
            "1, no batch normalization": {"model.batch_norm": False},
        },
        seeds=3,
    ),
    "skips": Study(
        "Skip connections.",
        {"with": {}, "without": {"model.skips": False}},
        seeds=3,
    ),
    "activation": Study(
        "The activation of the last layer.",
        {"LeakyReLU": {}, "sigmoid": {"model.activation": "sigmoid"}},
        seeds=3,
    ),
    "depth": Study(
        "The number of convolutions per stage.",
        {f"{n}": {"model.depth": n} for n in (1, 2, 3, 4)},
        seeds=3,
    ),
    "batch": Study(
        "The batch size, after equally many updates.",
        {f"{n}": {"batch_size": n} for n in (2, 4, 8, 16, 32)},
        seeds=3,
    ),
    "learning_rate": Study(
        "The peak learning rate.",
        {f"{rate:g}": {"optimizer.learning_rate.value": rate} for rate in (3e-5, 1e-4, 5e-4, 2e-3, 5e-3, 1.5e-2)},
        seeds=3,
    ),
    "curriculum": Study(
        "Digits introduced one after another, or all from the start.",
        {
            "all": {},
            "0 and 1 first, all from update 100": {"curriculum": ((0, (0, 1)), (100, tuple(range(10))))},
            "one more every 30 updates": {"curriculum": tuple((30 * i, tuple(range(i + 1))) for i in range(10))},
        },
        seeds=3,
    ),
    "precision": Study(
        "The precision of the convolutions.",
        {"float32": {}, "bfloat16": {"model.compute_dtype": "bfloat16"}},
        seeds=3,
    ),
}


def draw_figures(options: Options) -> None:
    """Draw Figures 1 to 6 of the chord paper, save them in `options.workdir`, and print their paths."""
    from specjax.papers.chord import figures

    config, task = papers.build(options.require_config())
    held_out = task.load().held_out
    for path in figures.remake(held_out, config.steps, options.config_flags, options.workdir):
        print(path)


QUESTIONS: dict[str, Callable[[Options], None]] = {
    **{name: partial(train_variants, study, MEASURES) for name, study in STUDIES.items()},
    "figures": draw_figures,
}
