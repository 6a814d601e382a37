"""The examples of docs/library.md run as they are written."""

import re
from pathlib import Path

import pytest

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parent.parent / "docs" / "library.md").read_text(), re.S)
SETUP, *EXAMPLES = BLOCKS


@pytest.mark.parametrize("number", range(1, len(EXAMPLES) + 1))
def test_example_of_the_library_page_runs(number):
    exec(SETUP + EXAMPLES[number - 1], {})


def test_there_are_ten_examples():
    assert len(EXAMPLES) == 10
