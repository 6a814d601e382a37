"""The bundles that come with the package."""

from specjax import papers
from specjax.cli import shipped

MAX_BYTES = 5_000_000


def test_bundles_that_come_with_the_package_open_and_are_small():
    for name in shipped.names():
        folder = shipped.FOLDER / name
        assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES, name
        papers.open_bundle(folder)
