"""VGG-19 (Simonyan and Zisserman 2015) as the network of style transfer, applied to spectrograms as pictures.

Wyse (2017, section 2) gives a spectrogram to the image network in all three color channels, and takes the luminosity of
the result as its spectrogram. Here the spectrogram of one channel is itself the variable that is optimized, and is
copied to three channels at the input of the network. So the three channels never differ, and their luminosity is the
spectrogram.

The weights, trained on images, come from a safetensors file that the user provides, for example those of torchvision.
"""

from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.cli.errors import UserError
from specjax.nn.conv import Conv

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")  # Gatys, Ecker and Bethge 2016
CONTENT_LAYERS = ("conv4_2",)

# Features of the convolutions of each block; between blocks the maps are pooled. Layers after conv5_1 are not needed.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))
# Position of each convolution in torchvision's `features`, and of the unused rest of the last block.
_POSITIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
_UNUSED_POSITIONS = (30, 32, 34)
# Mean and standard deviation of the colors of ImageNet, for pixels in [0, 1].
_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 1, 1, 3)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 1, 1, 3)

Params = dict[str, Any]


def _layers() -> dict[str, tuple[int, int]]:
    """Return the numbers of input and output channels of every convolution, by name."""
    widths = [features for block in _BLOCKS for features in block]
    names = [f"conv{i + 1}_{j + 1}" for i, block in enumerate(_BLOCKS) for j in range(len(block))]
    return dict(zip(names, zip([3, *widths], widths, strict=False), strict=True))


LAYERS = _layers()
_TORCHVISION_NAMES = dict(zip(LAYERS, _POSITIONS, strict=True))


class Vgg19(nn.Module):
    """Convolutional part of VGG-19 up to conv5_1.

    Attributes:
      pooling: `max`, as the network was trained, or `average`, which Gatys, Ecker and Bethge (2016) found smoother.
    """

    pooling: Literal["max", "average"] = "max"

    @nn.compact
    def __call__(self, picture: Float[Array, "batch height width"]) -> dict[str, Float[Array, "batch h w features"]]:
        """Compute the feature maps of all convolutions, after their ReLU, by name.

        Args:
          picture: spectrograms in [0, 1], of at least 16x16 pixels.
        """
        x = (picture[..., None] - _MEAN) / _DEVIATION
        features = {}
        for i, block in enumerate(_BLOCKS):
            x = self._pool(x) if i else x
            for j, width in enumerate(block):
                name = f"conv{i + 1}_{j + 1}"
                x = features[name] = nn.relu(Conv(width, name=name)(x))
        return features

    def _pool(self, x: Float[Array, "batch h w features"]) -> Float[Array, "batch h2 w2 features"]:
        if self.pooling == "max":
            return nn.max_pool(x, (2, 2), (2, 2))
        return nn.pooling.pool(x, 0.0, jax.lax.add, (2, 2), (2, 2), "VALID") / 4


def load_params(path: Path) -> Params:
    """Load the parameters of `Vgg19` from a safetensors file.

    The names of the tensors are those of this module (`conv1_1/kernel` of shape (height, width, in, out), and
    `conv1_1/bias`), or those of torchvision (`features.0.weight` of shape (out, in, height, width), and
    `features.0.bias`). The parts of torchvision's network that style transfer does not use are ignored. Numbers in half
    precision are converted to float32.

    Raises:
      UserError: the file cannot be read, or a tensor is missing, unexpected, of another shape or not finite.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path} is not a file, expected the weights of VGG-19 as safetensors: name such a file")
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            torchvision = any(name.startswith("features.") for name in names)
            expected = _expected_tensors(torchvision)
            ignored = {name for name in names if torchvision and _is_unused(name)}
            _check_names(path, names - ignored, set(expected))
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in expected}
            for name, shape in expected.items():
                if shapes[name] != shape:
                    raise UserError(
                        f"{path}: {name} has shape {list(shapes[name])}, expected {list(shape)}: use weights of VGG-19"
                    )
            tensors = {name: np.asarray(file.get_tensor(name), np.float32) for name in expected}
    except (SafetensorError, OSError, TypeError) as error:
        raise UserError(f"{path} is not a readable safetensors file ({error}): convert the weights again") from error
    for name, tensor in tensors.items():
        if not np.all(np.isfinite(tensor)):
            raise UserError(f"{path}: {name} holds values that are not finite numbers: get the file again")
    return from_torchvision(tensors) if torchvision else _nest(tensors)


def from_torchvision(tensors: dict[str, np.ndarray]) -> Params:
    """Convert tensors named and laid out as in torchvision to parameters of `Vgg19`."""
    return {
        name: {
            "kernel": jnp.asarray(tensors[f"features.{position}.weight"].transpose(2, 3, 1, 0)),
            "bias": jnp.asarray(tensors[f"features.{position}.bias"]),
        }
        for name, position in _TORCHVISION_NAMES.items()
    }


def _nest(tensors: dict[str, np.ndarray]) -> Params:
    return {name: {key: jnp.asarray(tensors[f"{name}/{key}"]) for key in ("kernel", "bias")} for name in LAYERS}


def _expected_tensors(torchvision: bool) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a weights file, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (inputs, outputs) in LAYERS.items():
        if torchvision:
            shapes[f"features.{_TORCHVISION_NAMES[name]}.weight"] = (outputs, inputs, 3, 3)
            shapes[f"features.{_TORCHVISION_NAMES[name]}.bias"] = (outputs,)
        else:
            shapes[f"{name}/kernel"] = (3, 3, inputs, outputs)
            shapes[f"{name}/bias"] = (outputs,)
    return shapes


def _is_unused(name: str) -> bool:
    return name.startswith(("classifier.", *(f"features.{position}." for position in _UNUSED_POSITIONS)))


def _check_names(path: Path, names: set[str], expected: set[str]) -> None:
    missing, unexpected = sorted(expected - names), sorted(names - expected)
    if missing:
        raise UserError(
            f"{path}: tensor {missing[0]} is missing ({len(missing)} in all), expected those of VGG-19 with the names "
            "of torchvision (features.0.weight) or of this package (conv1_1/kernel): use such a file"
        )
    if unexpected:
        raise UserError(
            f"{path}: unexpected tensor {unexpected[0]} ({len(unexpected)} in all), expected only those of VGG-19: "
            "remove it"
        )
