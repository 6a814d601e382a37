"""Tests of fingerprints of data sets: rounding is no difference, one changed example is."""

import json

import numpy as np
import pytest

from specjax.engine import fingerprint


def make_examples():
    rng = np.random.default_rng(1)
    return {
        "mel": rng.standard_normal((3000, 50)).astype(np.float32),
        "half": rng.standard_normal((10, 7)).astype(np.float16) * 1000,
        "pixels": rng.integers(0, 256, (20, 8, 8), np.uint8),
    }


def differing(changed):
    before, now = (json.loads(json.dumps(fingerprint.fingerprint(x))) for x in (make_examples(), changed))
    return fingerprint.differing(before, now)


def test_equal_and_rounded_arrays_do_not_differ():
    examples = make_examples()
    assert differing(examples) == []
    noise = np.random.default_rng(2).standard_normal(examples["mel"].shape).astype(np.float32)
    assert differing(examples | {"mel": examples["mel"] + 1e-5 * noise}) == []


@pytest.mark.parametrize("row", [0, 1500, 2999])
def test_one_other_example_of_thousands_differs(row):
    examples = make_examples()
    examples["mel"][row] = examples["mel"][row - 1]
    assert differing(examples) == ["mel"]


def test_order_of_examples_and_of_blocks_matters():
    examples = make_examples()
    assert differing(examples | {"mel": np.roll(examples["mel"], 1, axis=0)}) == ["mel"]
    assert differing(examples | {"mel": np.roll(examples["mel"].ravel(), fingerprint.BLOCK).reshape(3000, 50)}) == [
        "mel"
    ]


def test_one_pixel_a_shape_a_type_and_a_missing_array_differ():
    examples = make_examples()
    pixels = examples["pixels"].copy()
    pixels[3, 2, 1] ^= 1
    changed = {"mel": examples["mel"][:-1], "half": examples["half"].astype(np.float32), "pixels": pixels}
    assert differing(changed) == ["half", "mel", "pixels"]
    assert differing({"mel": examples["mel"]}) == ["half", "pixels"]
    assert differing(examples | {"half": np.full((10, 7), np.nan, np.float16)}) == ["half"]
