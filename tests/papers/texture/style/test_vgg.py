"""VGG-19 compared with PyTorch and with a convolution in NumPy; files of weights that are not as expected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.papers.texture.style.vgg import CONTENT_LAYERS, LAYERS, STYLE_LAYERS, Vgg19, from_torchvision, load_params

RNG = np.random.default_rng(0)
POSITIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
PICTURE = RNG.uniform(0, 1, (1, 32, 32)).astype(np.float32)
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def tensors():
    """Random weights, named as those of torchvision."""
    result = {}
    for position, (inputs, outputs) in zip(POSITIONS, LAYERS.values(), strict=True):
        weight = RNG.standard_normal((outputs, inputs, 3, 3), np.float32) * np.float32(np.sqrt(2 / (9 * inputs)))
        result[f"features.{position}.weight"] = weight
        result[f"features.{position}.bias"] = RNG.standard_normal(outputs, np.float32) * np.float32(0.1)
    return result


@pytest.fixture(scope="module")
def features(tensors):
    """Features of a picture by the kind of pooling."""
    params = {"params": from_torchvision(tensors)}
    return {kind: jax.jit(Vgg19(kind).apply)(params, jnp.asarray(PICTURE)) for kind in ("max", "average")}


def convolve(x, weight, bias):
    """Sum the products of a kernel of shape (out, in, 3, 3) with shifted copies of maps of shape (in, h, w)."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    shifted = np.stack([padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], 1)
    return (
        np.einsum("oik,ikhw->ohw", weight.reshape(*weight.shape[:2], 9), shifted, optimize=True) + bias[:, None, None]
    )


@pytest.mark.parametrize(("kind", "reduce"), [("max", np.max), ("average", np.mean)])
def test_features_of_two_blocks_match_numpy(tensors, features, kind, reduce):
    x = (PICTURE - MEAN[:, None, None]) / DEVIATION[:, None, None]
    for name, position in zip(("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"), POSITIONS, strict=False):
        if name in ("conv2_1", "conv3_1"):
            x = reduce(x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2), axis=(2, 4))
        x = np.maximum(convolve(x, tensors[f"features.{position}.weight"], tensors[f"features.{position}.bias"]), 0)
        np.testing.assert_allclose(features[kind][name][0].transpose(2, 0, 1), x, rtol=1e-3, atol=1e-4)


def test_all_features_match_pytorch(tensors, features):
    torch = pytest.importorskip("torch")
    x = (torch.from_numpy(PICTURE)[:, None] - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[
        :, None, None
    ]
    x = x.float()
    for (name, _), position in zip(LAYERS.items(), POSITIONS, strict=True):
        if name.endswith("_1") and name != "conv1_1":
            x = torch.nn.functional.max_pool2d(x, 2)
        weight, bias = (torch.from_numpy(tensors[f"features.{position}.{key}"]) for key in ("weight", "bias"))
        x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
        np.testing.assert_allclose(features["max"][name], x.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-3)


def test_layers_of_gatys_have_the_shapes_of_vgg19(features):
    shapes = {name: features["max"][name].shape for name in (*STYLE_LAYERS, *CONTENT_LAYERS)}
    sides = {"conv1_1": (32, 64), "conv2_1": (16, 128), "conv3_1": (8, 256), "conv4_1": (4, 512), "conv5_1": (2, 512)}
    assert shapes == {name: (1, n, n, c) for name, (n, c) in (sides | {"conv4_2": (4, 512)}).items()}


def test_weights_of_torchvision_are_loaded_without_the_unused_parts(tensors, tmp_path):
    from safetensors.numpy import save_file

    extra = {"classifier.0.weight": np.ones((2, 2), np.float32), "features.30.bias": np.ones(512, np.float32)}
    save_file(tensors | extra, tmp_path / "vgg.safetensors")
    params = load_params(tmp_path / "vgg.safetensors")
    assert params.keys() == LAYERS.keys()
    jax.tree.map(np.testing.assert_array_equal, params, from_torchvision(tensors))


def test_weights_in_the_names_of_this_package_are_loaded(tensors, tmp_path):
    from safetensors.numpy import save_file

    expected = from_torchvision(tensors)
    flat = {f"{name}/{key}": np.asarray(x, order="C") for name, layer in expected.items() for key, x in layer.items()}
    save_file(flat, tmp_path / "vgg.safetensors")
    jax.tree.map(np.testing.assert_array_equal, load_params(tmp_path / "vgg.safetensors"), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.0.weight": None}, "features.0.weight is missing"),
        ({"other": np.zeros(1, np.float32)}, "unexpected tensor other"),
        ({"features.2.bias": np.zeros(63, np.float32)}, r"features.2.bias has shape \[63\], expected \[64\]"),
        ({"features.0.bias": np.full(64, np.nan, np.float32)}, "features.0.bias holds values that are not finite"),
    ],
    ids=["missing", "unexpected", "misshapen", "nan"],
)
def test_files_of_other_weights_are_errors(tensors, tmp_path, change, message):
    from safetensors.numpy import save_file

    changed = {name: x for name, x in (tensors | change).items() if x is not None}
    save_file(changed, tmp_path / "vgg.safetensors")
    with pytest.raises(UserError, match=message):
        load_params(tmp_path / "vgg.safetensors")


def test_files_that_are_not_safetensors_are_errors(tmp_path):
    path = tmp_path / "vgg.safetensors"
    with pytest.raises(UserError, match="is not a file"):
        load_params(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="is not a readable safetensors file"):
        load_params(path)
