"""Reading curves from the log of a run."""

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
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "tr')
    with pytest.raises(UserError, match="is damaged"):
        read_curve(tmp_path, "train/loss")
