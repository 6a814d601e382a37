"""Digits and the spectrograms of their chords, side by side on one picture."""

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
    """Digits, their targets and what was painted, above one another; and the rows where the chords lie, enlarged."""
    size = target.shape[1]
    enlarge = np.arange(side) * 28 // side
    lowest = max(size // 12, 28)

    def whole(x: np.ndarray) -> render.Rgb:
        return render.apply_colormap(render.shrink(x, max(size // side, 1))[::-1][:side, :side])

    def zoomed(x: np.ndarray) -> render.Rgb:
        rows = np.arange(side) * lowest // side
        columns = np.arange(side) * size // side
        return render.apply_colormap(x[rows][:, columns][::-1])

    ink = [render.apply_colormap(x[enlarge][:, enlarge]) for x in digit]
    views = [ink, *([view(x) for x in xs] for view in (whole, zoomed) for xs in (target, picture))]
    titles = ["digit", "target", "painted", f"target\n0-{lowest} Hz", f"painted\n0-{lowest} Hz"]
    return render.tile(views, captions, titles)
