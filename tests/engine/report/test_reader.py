"""Reading curves from the log of a run."""

import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.engine.report.reader import read_curve
from specjax.engine.report.writer import Writer


def test_curves_have_the_values_that_were_written_and_are_finite(tmp_path):
    writer = Writer(tmp_path, 0)
    for step, loss in ((10, 0.5), (20, float("nan")), (30, 0.25)):
        writer.write_scalars(step, {"train/loss": loss})
    writer.write_scalars(30, {"eval/loss": 1.0})
    writer.close()
    assert read_curve(tmp_path, "train/loss") == ([10, 30], [0.5, 0.25])
    with pytest.raises(UserError, match="metrics.jsonl has no values of train/other"):
        read_curve(tmp_path, "train/other")


def test_unusable_logs_are_errors(tmp_path):
    with pytest.raises(UserError, match="cannot be read .* name the folder of a run"):
        read_curve(tmp_path, "train/loss")
    for damaged in (
        b'{"step": 1, "tr',
        b"\xff",
        b"[" * 10**5,
        b"[1]",
        b'{"train/loss": 1}',
        b'{"step": [], "train/loss": 1}',
    ):
        (tmp_path / "metrics.jsonl").write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            read_curve(tmp_path, "train/loss")


def test_damaged_lines_are_dropped_when_a_run_is_resumed(tmp_path):
    good, late = b'{"step": 1, "train/loss": 0.5}\n', b'{"step": 3, "train/loss": 0.25}\n'
    damaged = [b"\xff\n", b"[" * 10**5 + b"\n", b"7\n", b'{"step": "x"}\n', b'{"step": 2']
    (tmp_path / "metrics.jsonl").write_bytes(b"".join([good, late, *damaged]))
    Writer(tmp_path, 2).close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == good


def test_sound_that_is_not_finite_is_left_out_of_the_samples(tmp_path, caplog):
    writer = Writer(tmp_path, 0)
    sounds = {"good": np.zeros(8, np.float32), "bad": np.full(8, np.nan, np.float32)}
    writer.write_audios(3, sounds, sample_rate=8000)
    writer.close()
    assert [path.name for path in (tmp_path / "samples").rglob("*.wav")] == ["good.wav"]
    assert "step 3: the sound bad is not finite" in caplog.text


def test_tensorboard_hides_what_a_killed_run_logged_after_its_last_checkpoint(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for resume_step, steps, value in ((0, (1, 2, 3, 4), 1.0), (2, (3, 4, 5), 2.0)):
        writer = Writer(tmp_path, resume_step)
        for step in steps:
            writer.write_scalars(step, {"train/loss": value})
        writer.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    curve = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert curve == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 2.0)]
