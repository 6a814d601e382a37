"""The example of the section "Add a paper" in docs/architecture.md is complete: it trains, exports and opens."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from specjax import papers
from specjax.cli import config as cli_config
from specjax.cli.errors import UserError
from specjax.engine import bundle, loop, sharding
from specjax.engine.digests import digests
from specjax.papers import Entry
from specjax.papers.chord import benchmarks as chord_benchmarks
from stops import StopAt

FOLDER = Path(__file__).parent / "example_paper"
DOCUMENT = Path(__file__).parent.parent / "docs" / "architecture.md"
ENTRIES = {
    "example/line": Entry(
        config="example_paper.config:LineConfig",
        task="example_paper.task:LineTask",
        inference="example_paper.inference:open_line",
    ),
}


@pytest.fixture(scope="module")
def section():
    """Text of the section "Add a paper"."""
    return re.search(r"^## Add a paper\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)[1]


def test_the_example_paper_trains_exports_and_opens(tmp_path, monkeypatch):
    monkeypatch.setattr(papers, "TASKS", papers.TASKS | ENTRIES)
    values = cli_config.load(str(FOLDER / "experiment.py")).to_dict()
    config, task = papers.build(values)
    run = loop.train(task, config, tmp_path / "run", {"config": values}, StopAt())
    assert int(run.step) == 60

    assert digests(papers.open_run(tmp_path / "run").run) == digests(run)
    with pytest.raises(UserError, match=r"has no `data\.source` that 'other' could replace"):
        papers.open_run(tmp_path / "run", data="other")
    with pytest.raises(UserError, match="'example/line' has no benchmark 'targets'"):
        chord_benchmarks.build("targets", values, 4)

    bundle.save(tmp_path / "bundle", task.name, task.parts(sharding.to_host(run.state), task.frozen()), {})
    line, variables = papers.open_bundle(tmp_path / "bundle", task="example/line")
    assert line.config == task.config
    np.testing.assert_array_equal(variables["params"]["w"], run.state.params["w"])

    held_out = task.load().held_out
    error = line.predict(variables, jnp.asarray(held_out.x)) - held_out.y
    assert float(jnp.mean(error**2)) < 0.05 * float(jnp.mean(held_out.y**2))


def test_every_code_block_of_the_section_is_a_literal_part_of_the_example(section):
    sources = [path.read_text() for path in [*FOLDER.glob("*.py"), Path(__file__)]]
    blocks = re.findall(r"^```\w*\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    for block in blocks:
        assert any(block in source for source in sources), block


def test_the_section_lists_every_file_that_a_new_paper_touches(section):
    listed = dict(re.findall(r"^\| `(specjax/papers/\S+|configs/\S+)` \| (new|edited) \|", section, re.MULTILINE))
    new = [Path(path).name for path, kind in listed.items() if kind == "new"]
    assert sorted(new) == sorted(
        "line.py" if path.name == "experiment.py" else path.name for path in FOLDER.glob("*.py")
    )
    assert [path for path, kind in listed.items() if kind == "edited"] == ["specjax/papers/__init__.py"]
    assert f"{len(new)} new files" in section
    assert "1 edited file" in section
