"""Names meant for users: listed, importable and documented."""

from types import ModuleType

import pytest

import specjax

PACKAGES = [
    specjax,
    *(getattr(specjax, name) for name in specjax.__all__),
    *(getattr(specjax.papers, name) for name in specjax.papers.PAPERS),
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_public_names_are_found_by_tab_and_documented(package):
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        value = getattr(package, name)
        if callable(value) or isinstance(value, ModuleType):
            assert value.__doc__, f"{package.__name__}.{name} has no docstring"
