"""Table of painters: control rows, rows of generators, and the text of the table."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny_museum import ERAS, make_museum

from specjax import papers
from specjax.cli.errors import UserError
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference
from specjax.papers.mvnet.inference import GanInference, OpenEncoder, Painter
from specjax.papers.mvnet.judge import JudgeConfig, JudgeInference, OpenJudge
from specjax.papers.mvnet.model import ModelConfig
from specjax.papers.mvnet.refinement import Refiner
from specjax.papers.mvnet.representation import Representation
from specjax.papers.mvnet.studies import controls, table
from specjax.papers.mvnet.style import StyleConfig, StyleInference

CONFIG = MuseumConfig(eras=ERAS, representation=Representation("power"))


def test_copies_are_two_pictures_of_the_training_clip_that_sounds_most_alike():
    train = make_museum(0)
    embedding = np.random.default_rng(0).normal(size=(len(train.clip_era), 3))
    heard = embedding[[7, 2]] + 1e-3
    first, second = controls.copy_pictures(train, embedding, heard, np.array([0, 0, 1]))
    own, other = train.pairs[train.pairs[:, 0] == 7, 1]
    np.testing.assert_array_equal(first[:2], train.pictures[[own, other]])
    np.testing.assert_array_equal(second[:2], train.pictures[[other, own]])
    np.testing.assert_array_equal(first[2], train.pictures[train.pairs[train.pairs[:, 0] == 2, 1][0]])


def test_noise_has_the_mean_and_covariance_of_its_era():
    """Pictures of two values that move together, far from black and white."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=(2, 40, 1, 1, 1))
    mean = np.array([100.0, 150.0]).reshape(2, 1, 1, 1, 1)
    sign = np.where(np.arange(64) < 32, 1.0, -0.5).reshape(1, 1, 1, 64, 1)
    pictures = np.broadcast_to(mean + 20 * level * sign, (2, 40, 64, 64, 3)).reshape(-1, 64, 64, 3)
    museum = make_museum(0)._replace(pictures=pictures.astype(np.uint8), picture_era=np.repeat([0, 1], 40))
    drawn = controls.draw_noise(museum, np.repeat([1, 0], 300), np.random.default_rng(1)).astype(float)
    for era, own in ((1, drawn[:300]), (0, drawn[300:])):
        real = museum.pictures[museum.picture_era == era].astype(float)
        values, expected = ([x[:, 5, 3, 1], x[:, 60, 50, 2]] for x in (own, real))
        np.testing.assert_allclose(np.mean(values, axis=1), np.mean(expected, axis=1), atol=4)
        np.testing.assert_allclose(np.cov(values), np.cov(expected), rtol=0.25)


@pytest.fixture(scope="module")
def judge():
    inference = JudgeInference(JudgeConfig(CONFIG, widths=(4, 4)))
    return OpenJudge(inference, jax.jit(inference.init)(jax.random.key(0)))


@pytest.fixture(scope="module")
def painter():
    encoder = EncoderInference(EncoderConfig(data=CONFIG, widths=(2, 2), embedding=3))
    networks = GanInference(GanConfig(data=CONFIG, model=ModelConfig(widths=(4, 4), latents=3, features=6)), 3)
    return Painter(
        networks,
        jax.jit(networks.init_generator)(jax.random.key(1)),
        OpenEncoder(encoder, jax.jit(encoder.init)(jax.random.key(2))),
    )


@pytest.fixture
def compare(monkeypatch, tmp_path, judge, painter):
    """Measure the rows of a tiny museum; return the results and the lines of progress."""
    museums = tuple(m._replace(mel=np.abs(m.mel)) for m in (make_museum(0), make_museum(1)))
    monkeypatch.setattr(table.data, "load", lambda config: museums)
    monkeypatch.setattr(table, "list_works", lambda config: ())
    monkeypatch.setattr(table.bundle, "digest", lambda folder: folder.name)
    monkeypatch.setattr(papers, "open_bundle", lambda folder, task: painter)

    def measure(names, config=CONFIG):
        report: list[str] = []
        comparison = table.Comparison(judge, "0123456789ab", config, 0, tmp_path, report.append)
        return comparison.measure({name: tmp_path / name for name in names}), report

    return measure


def test_each_row_is_measured_once(compare):
    results, report = compare(["cdcgan"])
    assert report == [f"{name}: 24 pairs" for name in (table.COPIES, table.NOISE, "cdcgan")]
    assert results[table.COPIES]["memorization"] == results[table.COPIES]["memorization_lowest"] == 0
    assert results[table.NOISE]["memorization"] > 0
    assert results["cdcgan"]["pairs"] == 24
    assert results["cdcgan"]["diversity_same_music"] > 0
    again, report = compare(["cdcgan", "renamed"])
    assert report == ["renamed: 24 pairs"]
    assert again["cdcgan"] == results["cdcgan"]


def test_refined_pictures_have_a_row_of_their_own(compare, painter, monkeypatch):
    class Inverting(Refiner):
        """A second stage that turns pictures into their negatives."""

        def refine_towards_nearest(self, picture):
            return 255 - picture

    monkeypatch.setattr(
        papers,
        "open_bundle",
        lambda folder, task: replace(painter, refiner=Inverting(StyleInference(StyleConfig()), {})),
    )
    results, report = compare(["cdcgan"])
    assert report[-2:] == ["cdcgan: 24 pairs", "cdcgan, refined: 24 pairs"]
    assert results["cdcgan, refined"]["follows"] == pytest.approx(-results["cdcgan"]["follows"])


def test_painters_of_other_eras_and_names_of_controls_are_errors(compare):
    with pytest.raises(UserError, match="names 'copies', which is a control row"):
        compare(["copies"])
    with pytest.raises(UserError, match="paints the eras baroque, modern, expected modern, baroque as judged"):
        compare(["cdcgan"], replace(CONFIG, eras=ERAS[::-1]))


def test_the_table_has_a_line_for_each_row(compare):
    results, _ = compare(["cdcgan"])
    lines = table.format_table("0123456789ab", results).splitlines()
    assert lines[0].startswith("Judge 0123456789ab, accuracy ")
    assert "on 12 held-out pictures; N = 24 pairs in every row" in lines[0]
    head, _, *rows = (line.split("|")[1:-1] for line in lines[2:])
    assert [row[0].strip() for row in rows] == [table.COPIES, table.NOISE, "cdcgan"]
    assert all(len(row) == len(head) for row in rows)
    assert rows[0][-1].strip() == "0.00 (lowest 5%: 0.00)"
