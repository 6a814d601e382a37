"""Study of style transfer: methods, trained or random weights, noise and numbers of filters, judged on pairs of sounds.

The judges are metrics that no method optimizes. There are three controls: the content, the style, and the content
equalized to the mean spectrum of the style.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.papers.texture import stylize
from specjax.papers.texture.judges import Measures, judge
from specjax.papers.texture.style.equalizer import equalize
from specjax.papers.texture.style.source import LEVEL, Style
from specjax.papers.texture.style.transfer import transfer

DURATION_S = 3.0
SAMPLE_RATE = 22050
CONTENT, STYLE, EQUALIZED = "content", "style", "equalized content"
_STEPS = 300  # optimizer steps of the methods on spectrograms

Wave = Float[np.ndarray, " samples"]


@dataclass(frozen=True)
class Variant:
    """Method of style transfer with its settings.

    Attributes:
      method: key of `stylize.METHODS`.
      settings: values of some of its fields.
      trained: whether the method `wyse` uses the weights of a trained classifier.
    """

    method: str
    settings: Mapping[str, Any]
    trained: bool = False


VARIANTS = {
    "Ulyanov": Variant("ulyanov", {}),
    **{
        f"Wyse, {weights} weights, {noise}": Variant(
            "wyse", {"noise": share, "steps": _STEPS}, trained=weights == "trained"
        )
        for weights in ("trained", "random")
        for noise, share in (("no noise", 0.0), ("noise", 0.5))
    },
    **{
        f"Wyse, random weights, no noise, {filters} filters": Variant(
            "wyse", {"noise": 0.0, "steps": _STEPS, "filters": filters}
        )
        for filters in (256, 512, 1024, 4096)
    },
    **{
        f"Wyse, random weights, no noise, only {layer}": Variant(
            "wyse", {"noise": 0.0, "steps": _STEPS, "layers": (layer,)}
        )
        for layer in ("conv1", "conv2")
    },
    "waveform": Variant("waveform", {}),
}


def compare(
    sounds: Mapping[str, Wave],
    folder: Path,
    pairs: int,
    network: Any = None,
    report: Callable[[str], None] | None = None,
) -> dict[str, Measures]:
    """Transfer the style of every pair with every variant, and judge the results.

    A pair consists of sound i as the content and sound i + n/2 (modulo n) as the style, where n is the number of
    sounds. Results are saved, and not computed again.

    Args:
      sounds: waves of equal length at `SAMPLE_RATE`, by name.
      folder: folder of the results.
      pairs: largest number of pairs; 0 for all sounds.
      network: convolutions of a trained classifier; None leaves the variants with trained weights out.
      report: called with a line of progress.

    Returns:
      Measures of all pairs, by the name of the control or variant.

    Raises:
      UserError: there are fewer than two sounds, or the folder cannot be written.
    """
    if len(sounds) < 2:
        raise UserError(f"{len(sounds)} sounds, expected at least 2: name more with --sounds")
    names, waves = list(sounds), np.stack(list(sounds.values()))
    count = min(pairs, len(names)) if pairs else len(names)
    partner = [(i + len(names) // 2) % len(names) for i in range(count)]
    contents, styles = waves[:count], waves[partner]
    results = {CONTENT: contents, STYLE: styles, EQUALIZED: _equalize(contents, styles)}
    for name, variant in VARIANTS.items():
        if variant.trained and network is None:
            continue
        outcome = []
        for i in range(count):
            if report is not None:
                content, style = (Path(names[j]).name for j in (i, partner[i]))
                report(f"{name}: pair {i + 1}/{count}, {content} in the style of {style}")
            outcome.append(_transfer_once(variant, contents[i], styles[i], network, folder))
        results[name] = np.stack(outcome)
    return {
        name: judge(jnp.asarray(result), jnp.asarray(contents), jnp.asarray(styles), SAMPLE_RATE)
        for name, result in results.items()
    }


def _equalize(contents: Float[np.ndarray, "pairs samples"], styles: Float[np.ndarray, "pairs samples"]) -> np.ndarray:
    scaled = contents * (LEVEL / np.sqrt(np.mean(contents**2, axis=1, keepdims=True)))
    return np.asarray(equalize(jnp.asarray(scaled), [Style.measure([style], 1) for style in styles]))


def _transfer_once(variant: Variant, content: Wave, style: Wave, network: Any, folder: Path) -> Wave:
    """Transfer one pair, unless the folder already holds its result."""
    parameters = [np.asarray(x).tobytes() for x in jax.tree.leaves(network if variant.trained else None)]
    settings = repr(stylize.make_method(variant.method, variant.settings)).encode()
    request = [settings, content.tobytes(), style.tobytes(), *parameters]
    path = folder / f"{hashlib.sha256(b''.join(request)).hexdigest()[:24]}.npy"
    if path.exists():
        saved: Wave = np.load(path)
        return saved
    method = stylize.make_method(variant.method, variant.settings, network if variant.trained else None)
    result = transfer(content[None, None], [[style]], method)
    if result.interrupted:
        raise KeyboardInterrupt
    wave: Wave = result.waves[0, 0]
    encoded = io.BytesIO()
    np.save(encoded, wave)
    try:
        files.write_atomic(path, encoded.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    return wave
