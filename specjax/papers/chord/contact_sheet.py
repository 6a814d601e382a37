"""Contact sheet of digits with their target and predicted spectrograms."""

import numpy as np
from jaxtyping import Float

from specjax.plots import render


def contact_sheet(
    digit: Float[np.ndarray, "n 28 28"],
    target: Float[np.ndarray, "n size size"],
    picture: Float[np.ndarray, "n size size"],
    captions: list[str],
    side: int = 144,
) -> render.Rgb:
    """Draw a sheet of images with one column per digit.

    Each column shows five images. From top to bottom, they are the digit, the target, the prediction, an enlarged part
    of the target, and the same part of the prediction. The enlarged part shows the low frequencies.

    Args:
      digit: images in [0, 1].
      target: target spectrograms in [0, 1].
      picture: predicted spectrograms; values are clipped to [0, 1].
      captions: text above each column.
      side: side of each image, in pixels.
    """
    size = target.shape[1]
    enlarge = np.arange(side) * 28 // side
    zoom_rows = max(size // 12, 28)

    def draw_whole(x: np.ndarray) -> render.Rgb:
        return render.apply_colormap(render.shrink(x, max(size // side, 1))[::-1][:side, :side])

    def draw_zoomed(x: np.ndarray) -> render.Rgb:
        rows = np.arange(side) * zoom_rows // side
        columns = np.arange(side) * size // side
        return render.apply_colormap(x[rows][:, columns][::-1])

    digits = [render.apply_colormap(x[enlarge][:, enlarge]) for x in digit]
    views = [digits, *([draw(x) for x in xs] for draw in (draw_whole, draw_zoomed) for xs in (target, picture))]
    titles = ["digit", "target", "predicted", f"target\n0-{zoom_rows} Hz", f"predicted\n0-{zoom_rows} Hz"]
    return render.tile(views, captions, titles)
