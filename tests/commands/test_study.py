"""The study command, as a user would drive it."""

import pytest

from commands.run import SMALL, refusal, run


def test_a_question_is_answered_by_a_table_and_not_asked_twice(cache, tmp_path):
    arguments = ("skips", *SMALL, "--config.steps=2", "--seeds=1", "--examples=8", f"--workdir={tmp_path}/studies")
    done = run(cache, "study", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| with")]
    assert [row.split("|")[1].strip() for row in rows] == ["with", "without"]
    assert all("1 of 1" in row for row in rows)
    log = tmp_path / "studies" / "skips" / "without-0" / "metrics.jsonl"
    before = log.stat().st_mtime_ns
    assert run(cache, "study", *arguments).stdout == done.stdout
    assert log.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a question: one of heads, losses"),
        (("why", "--config=unet:small"), "name a question"),
        (("heads",), "--config is missing"),
        (("heads", "--config=unet:small", "--workdir=/proc/none"), "cannot be written"),
        (("heads", "--config=unet:small", "--seeds=-1"), "seeds"),
    ],
)
def test_what_cannot_be_asked_is_refused(cache, arguments, message):
    assert message in refusal(run(cache, "study", *arguments))
