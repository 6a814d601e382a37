"""Tests of studies: variants, tables, and runs that are cached, fail or cannot start."""

import pytest

from specjax import papers
from specjax.cli.config import load
from specjax.cli.errors import UserError
from specjax.engine import study
from specjax.engine.study import Measure, Study, table
from specjax.measure.intervals import confidence_half_width
from specjax.papers.chord.figures import trainings
from specjax.papers.chord.studies import MEASURES, STUDIES
from specjax.papers.melody.studies import GAN_STUDIES
from specjax.papers.mvnet.studies import ENCODER_STUDIES, PAINTER_STUDIES

EXACT = Measure("eval/exact_notes", "exact", 100.0, "{:.1f}%")


VARIANTS = {f"{name}: {v}": overrides for name, s in STUDIES.items() for v, overrides in s.variants.items()}


@pytest.mark.parametrize("overrides", [*VARIANTS.values(), *trainings(500).values()])
def test_every_variant_is_a_valid_config(overrides):
    config = load("unet:small")
    config.update_from_flattened_dict(dict(overrides))
    train_config, task = papers.build(config.to_dict())
    assert train_config.steps == 500
    assert task.config.conditioning.size == 112


@pytest.mark.parametrize("task", ["chord", None, [], {}])
def test_unknown_task_is_an_error(task):
    with pytest.raises(UserError, match="config.task=.* is unknown: choose one of chord/unet"):
        papers.build({"task": task})


@pytest.mark.parametrize(
    ("base", "overrides"),
    [
        (base, overrides)
        for base, studies in (
            ("gan:tiny", GAN_STUDIES),
            ("cdcgan:tiny", PAINTER_STUDIES),
            ("encoder:tiny", ENCODER_STUDIES),
        )
        for question in studies.values()
        for overrides in question.variants.values()
    ],
)
def test_every_variant_of_a_gan_or_an_encoder_is_a_valid_config(base, overrides):
    config = load(base)
    config.update_from_flattened_dict(dict(overrides))
    papers.build(config.to_dict())


def test_table_counts_completed_runs_and_averages_only_those():
    variants = Study("Which?", {"one": {}, "two": {}}, seeds=2)
    runs = {
        "one": [{"eval/exact_notes": 0.5}, {"eval/exact_notes": 0.7}],
        "two": [{"stopped": "error: not finite"}, {"eval/exact_notes": 0.25}],
    }
    lines = table(variants, runs, [EXACT, Measure("eval/absent", "absent", 1.0, "{:.1f}")]).splitlines()
    assert lines[0] == "Which?"
    assert lines[2] == "| | completed runs | exact |"
    assert lines[4] == f"| one | 2 of 2 | 60.0% ± {100 * confidence_half_width([0.5, 0.7]):.1f}% |"
    assert lines[5] == "| two | 1 of 2 | 25.0% |"


def test_finished_run_is_not_repeated(tmp_path, monkeypatch):
    calls = []

    class Done:
        returncode, stdout, stderr = 0, '{"eval/exact_notes": 0.5}\n', ""

        def check_returncode(self):
            pass

    def fake_command(name, *arguments):
        calls.append((name, arguments))
        (tmp_path / "one-0").mkdir(exist_ok=True)
        return Done()

    monkeypatch.setattr(study, "_run_command", fake_command)
    variants = Study("Which?", {"one": {"model.skips": False}})
    first = study.answer(variants, ["--config=unet:small"], study.seeds(1), tmp_path, 8)
    assert (
        study.answer(variants, ["--config=unet:small"], study.seeds(1), tmp_path, 8)["one"][0]["eval/exact_notes"]
        == 0.5
    )
    assert first["one"][0]["eval/exact_notes"] == 0.5
    assert [name for name, _ in calls] == ["train", "evaluate"]
    assert calls[0][1][:3] == ("--config=unet:small", "--config.model.skips=False", "--config.seed=0")
    study.answer(variants, ["--config=unet:small"], study.seeds(1), tmp_path, 16)
    assert len(calls) == 4, "another number of examples needs another evaluation"
    for damaged in (b'{"asked": {"wo', b"\xff", b"[1]", b"[" * 10**5):
        (tmp_path / "one-0" / study.RESULT).write_bytes(damaged)
        assert study.answer(variants, ["--config=unet:small"], study.seeds(1), tmp_path, 8) == first


def test_training_that_diverges_is_a_result(tmp_path, monkeypatch):
    class Stopped:
        returncode, stdout, stderr = 3, "", "step 3\nerror: the last 20 updates were not finite\n"

    (tmp_path / "one-0").mkdir()
    monkeypatch.setattr(study, "_run_command", lambda *_: Stopped())
    (result,) = study.answer(Study("Which?", {"one": {}}), [], study.seeds(1), tmp_path, 8)["one"]
    assert result["stopped"] == "the last 20 updates were not finite"


def test_training_that_cannot_start_raises(tmp_path, monkeypatch):
    class Rejected:
        returncode, stdout, stderr = 2, "", "error: model.labels=-1 must be 0 or more\n"

    monkeypatch.setattr(study, "_run_command", lambda *_: Rejected())
    with pytest.raises(UserError, match=r"one-0 ended early: model.labels=-1"):
        study.answer(Study("Which?", {"one": {}}), [], study.seeds(1), tmp_path, 8)


@pytest.mark.parametrize("status", [-9, 143, 2])
def test_training_that_is_interrupted_is_no_result_and_is_resumed(tmp_path, monkeypatch, status):
    returncodes = {"train": status, "evaluate": 0}

    class Done:
        def __init__(self, name, *_):
            self.returncode, self.stdout, self.stderr = returncodes[name], '{"eval/exact_notes": 0.5}\n', ""

    (tmp_path / "one-0").mkdir()
    monkeypatch.setattr(study, "_run_command", Done)
    with pytest.raises(UserError, match=r"one-0 ended early"):
        study.answer(Study("Which?", {"one": {}}), [], study.seeds(1), tmp_path, 8)
    returncodes["train"] = 0
    first, again = (
        study.answer(Study("Which?", {"one": {}}), [], study.seeds(1), tmp_path, 8)["one"] for _ in range(2)
    )
    assert first == again == [{"eval/exact_notes": 0.5}]


def test_evaluation_that_fails_raises(tmp_path, monkeypatch):
    class Done:
        def __init__(self, name, *_):
            self.returncode, self.stdout, self.stderr = (name == "evaluate") * 2, "", "error: no data\n"

    monkeypatch.setattr(study, "_run_command", Done)
    with pytest.raises(UserError, match=r"one-0 could not be evaluated: no data"):
        study.answer(Study("Which?", {"one": {}}), [], study.seeds(1), tmp_path, 8)


def test_measure_that_some_runs_lack_is_the_mean_of_the_others():
    results = {"one": [{"eval/exact_notes": 0.5}, {}], "two": [{}]}
    lines = table(Study("Which?", {}), results, [EXACT]).splitlines()
    assert lines[-2:] == ["| one | 2 of 2 | 50.0% |", "| two | 1 of 1 |  |"]


def test_measures_are_evaluation_results():
    assert all(measure.key.startswith("eval/") for measure in MEASURES)


def test_a_result_is_computed_once_for_each_request(tmp_path):
    computed = []

    def compute():
        computed.append(len(computed))
        return {"value": computed[-1]}

    results = [study.remember(tmp_path / "a", {"clips": n}, compute) for n in (1, 2, 1, 2)]
    assert results == [{"value": 0}, {"value": 1}] * 2
    assert computed == [0, 1]
    for path in (tmp_path / "a").iterdir():
        path.write_bytes(path.read_bytes()[:9])
    assert study.remember(tmp_path / "a", {"clips": 1}, compute) == {"value": 2}, "half a file is no result"
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        study.remember(tmp_path / "file", {}, compute)
