"""Pictures of the museum, in the style of an era, drawn from random keys.

The eras differ in composition, geometry and palette. Inside an era, pictures differ in how light they are and in how
many lines they have, by the attributes of their clip, and in positions, sizes and colors at random.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from specjax.arrays.batching import map_examples
from specjax.nn.residual import mean_pool
from specjax.papers.mvnet.museum.attributes import Attributes, clip_attributes, clip_of_picture, work_key
from specjax.papers.mvnet.museum.canvas import Canvas, Grid, ellipse, gradient, light, paint, stripes

Scalar = Float[Array, ""]
Numbers = Float[Array, " numbers"]  # random numbers in [0, 1)

_NUMBERS = 64
_EXPOSURE = 2.4  # logarithm to base 2 of the exponents that darken and brighten the pictures
_GRAIN = 0.02  # standard deviation of the grain of the canvas


@partial(jax.jit, static_argnames=("clips", "segments", "size"))
def draw(
    era: Int[Array, " pictures"], picture: Int[Array, " pictures"], clips: int, segments: int, size: int
) -> UInt8[Array, "pictures size size 3"]:
    """Draw pictures.

    Args:
      era: index into `ERAS`.
      picture: number of the picture within the era, below `3 * clips`.
      clips: number of clips of each era.
      segments: number of clips of a composition.
      size: pixels of a side. A picture is the same in every size, but for its grain.
    """
    grid = Grid(2 * size)

    def draw_picture(era: Int[Array, ""], picture: Int[Array, ""]) -> UInt8[Array, "size size 3"]:
        attributes = clip_attributes(era, clip_of_picture(era, picture, clips), segments)
        key = work_key("picture", era, picture)
        numbers = jax.random.uniform(jax.random.fold_in(key, 0), (_NUMBERS,))
        grain = _GRAIN * jax.random.normal(jax.random.fold_in(key, 1), (grid.size, grid.size, 1))
        painters = [partial(painter, grid) for painter in PAINTERS.values()]
        return _finish(jax.lax.switch(era, painters, numbers, attributes.density), attributes, grain)

    return map_examples(draw_picture)(era, picture)


def _finish(
    canvas: Canvas, attributes: Attributes, grain: Float[Array, "height width 1"]
) -> UInt8[Array, "size size 3"]:
    """Expose a canvas to more or less light, add grain, and halve its size by the mean of 2 x 2 pixels."""
    exponent = 2.0 ** (_EXPOSURE * (0.5 - attributes.brightness))
    exposed = jnp.clip(jnp.clip(canvas, 1e-3, 1.0) ** exponent + grain, 0.0, 1.0)
    half = mean_pool(exposed[None], (2, 2))[0]
    return jnp.round(255 * half).astype(jnp.uint8)


def _renaissance(grid: Grid, u: Numbers, density: Scalar) -> Canvas:
    """A saint in a blue or red robe with a golden halo, upright in the middle of an arch, on a tiled floor."""
    horizon, width, height = _between(u[:3], (0.25, 0.5), (0.4, 0.62), (-0.42, -0.2))
    sky = gradient((0.45, 0.62, 0.78), (0.93, 0.85, 0.66), (grid.y + 1) / (1 + horizon))
    # Tiles in perspective: lines to the vanishing point on the horizon, and lines that come closer to each other.
    depth = jnp.maximum(grid.y - horizon, 0.1)
    tiles = stripes((0.2 + density) * grid.x / depth) * stripes((0.2 + 0.6 * density) / depth)
    floor = gradient((0.55, 0.38, 0.25), (0.85, 0.72, 0.5), 0.5 + 2 * tiles)
    canvas = jnp.where(grid.y[..., None] > horizon, floor, sky)
    head_y, radius = height, _between(u[3:4], (0.15, 0.2))[0]
    rays = stripes(jnp.arctan2(grid.x, head_y - grid.y) / (2 * np.pi) * jnp.round(4 + 12 * density))
    canvas = paint(canvas, grid.fill(grid.disc(0.0, head_y, 1.9 * radius)), (0.95, 0.75, 0.2))
    canvas = paint(canvas, grid.fill(grid.disc(0.0, head_y, 1.8 * radius)) * (0.5 + 0.5 * rays) * 0.7, (0.7, 0.45, 0.1))
    robe = jnp.abs(grid.x) - width * jnp.sqrt(jnp.clip((grid.y - head_y) / 1.2, 0.0, 1.0))
    folds = 0.5 + 0.5 * stripes(grid.x * (0.5 + 2.5 * density) / width)
    blue = u[4] < 0.6
    color = jnp.where(blue, jnp.array([0.2, 0.33, 0.72]), jnp.array([0.78, 0.2, 0.16]))
    canvas = paint(canvas, grid.fill(robe), color)
    canvas = paint(canvas, grid.fill(robe) * folds * 0.6, 0.35 * color)
    canvas = paint(canvas, grid.fill(ellipse(grid.x, grid.y - head_y, 0.8 * radius, radius)), (0.93, 0.75, 0.6))
    arch = jnp.minimum(grid.box(0.0, 0.6, 0.84, 0.9), grid.disc(0.0, -0.06, 0.84))
    return paint(canvas, 1 - grid.fill(arch), (0.42, 0.27, 0.15))


def _baroque(grid: Grid, u: Numbers, density: Scalar) -> Canvas:
    """A body and folds of cloth on a diagonal, in a beam of light that falls from the upper left into the dark."""
    angle, reach, x, y, size = _between(u[:5], (0.5, 1.0), (0.3, 0.5), (-0.25, 0.15), (-0.2, 0.2), (0.3, 0.42))
    along, across = grid.rotate(-1.0, -1.0, angle)
    beam = jnp.exp(-((across / reach) ** 2)) * jnp.exp(-0.5 * along)
    canvas = gradient((0.05, 0.035, 0.03), (0.55, 0.4, 0.22), beam)
    cloth_x, cloth_y = grid.rotate(x + 0.25, y + 0.4, angle)
    cloth = grid.fill(ellipse(cloth_x, cloth_y, 1.9 * size, 1.1 * size))
    folds = 0.5 + 0.5 * stripes((0.5 + 1.8 * density) * (cloth_y + 0.25 * jnp.sin(4 * cloth_x)) / size)
    red = jnp.where(u[5] < 0.7, jnp.array([0.7, 0.1, 0.07]), jnp.array([0.5, 0.36, 0.1]))
    lit = jnp.clip(0.75 - 0.5 * cloth_x / size * 0.6, 0.15, 1.0) * (0.25 + 0.75 * folds)
    canvas = paint(canvas, cloth, light(red, lit))
    body_x, body_y = grid.rotate(x, y, angle)
    for offset, scale in ((0.0, 1.0), (-1.25, 0.5)):  # trunk and head
        px, py = body_x / size - offset, body_y / size + 0.2 * offset
        mask = grid.fill(size * scale * (jnp.hypot(px / (1.0 * scale), py / (0.62 * scale)) - 1))
        shade = jnp.clip(0.55 - 0.55 * (px + py) / scale, 0.04, 1.0)
        canvas = paint(canvas, mask, light((0.97, 0.78, 0.55), shade))
    return canvas


def _classical(grid: Grid, u: Numbers, density: Scalar) -> Canvas:
    """A temple of marble, symmetric and upright: columns, a pediment and steps under a pale sky."""
    top, half_width, base = _between(u[:3], (-0.3, -0.05), (0.62, 0.85), (0.55, 0.72))
    canvas = gradient((0.62, 0.75, 0.85), (0.9, 0.92, 0.9), (grid.y + 1) / 1.6)
    ground = gradient((0.66, 0.68, 0.55), (0.5, 0.53, 0.42), (grid.y - base) * 2)
    canvas = jnp.where(grid.y[..., None] > base, ground, canvas)
    marble, shadow = (0.93, 0.9, 0.83), (0.42, 0.43, 0.47)
    hall = grid.box(0.0, (top + base) / 2, half_width, (base - top) / 2)
    canvas = paint(canvas, grid.fill(hall), shadow)
    count = jnp.round(3 + 6 * density)
    place = (grid.x / half_width + 1) / 2 * count
    inside = (place - jnp.floor(place) - 0.5) * 2 * half_width / count
    column = jnp.maximum(jnp.abs(inside) - 0.55 * half_width / count, hall)
    canvas = paint(canvas, grid.fill(column), marble)
    flutes = 0.5 + 0.5 * stripes(place * 5)
    canvas = paint(canvas, grid.fill(column) * flutes * 0.35, shadow)
    pediment = jnp.maximum(jnp.abs(grid.x) * 0.42 - (grid.y - top + 0.55), grid.y - top + 0.12)
    pediment = jnp.maximum(pediment, jnp.abs(grid.x) - 1.12 * half_width)
    canvas = paint(canvas, grid.fill(pediment), marble)
    canvas = paint(canvas, grid.fill(pediment + 0.09), (0.75, 0.72, 0.68))
    canvas = paint(canvas, grid.fill(grid.box(0.0, top - 0.05, 1.12 * half_width, 0.07)), marble)
    for i in range(3):
        step = grid.box(0.0, base + 0.05 + 0.09 * i, (1.1 + 0.08 * i) * half_width, 0.045)
        canvas = paint(canvas, grid.fill(step), (0.9 - 0.12 * i,) * 3)
    return canvas


def _romantic(grid: Grid, u: Numbers, density: Scalar) -> Canvas:
    """Ridges of mountains in mist, one behind the other, under a glowing sun or a moon, above water."""
    horizon, sun_x, sun_y, radius = _between(u[:4], (-0.1, 0.2), (-0.6, 0.6), (-0.7, -0.3), (0.08, 0.15))
    warm = u[4] < 0.6
    glow = jnp.where(warm, jnp.array([1.0, 0.72, 0.38]), jnp.array([0.8, 0.85, 0.95]))
    high = jnp.where(warm, jnp.array([0.36, 0.3, 0.5]), jnp.array([0.1, 0.16, 0.34]))
    distance = jnp.hypot(grid.x - sun_x, grid.y - sun_y)
    clouds = 0.12 * stripes(1.5 * grid.y + 0.4 * jnp.sin(3 * grid.x + 6 * u[5]) + 1.5 * density * grid.y * grid.y)
    canvas = gradient(glow, high, 0.75 * distance + clouds)
    canvas = paint(canvas, grid.fill(grid.disc(sun_x, sun_y, radius)), (1.0, 0.97, 0.85))
    for i in range(4):
        phases, near = u[8 + 4 * i : 12 + 4 * i], (i + 1) / 4
        line = horizon + 0.22 * i - 0.16 * stripes(0.45 * grid.x + phases[0]) * (1.2 - near)
        line -= 0.07 * stripes(1.1 * grid.x + phases[1])
        line -= (0.005 + 0.08 * density) * (stripes(2.5 * grid.x + phases[2]) + stripes(5.3 * grid.x + phases[3]))
        color = (1 - near) * (0.6 * glow + 0.4 * high) + near * jnp.array([0.07, 0.09, 0.11])
        canvas = paint(canvas, grid.fill(line - grid.y), color)
    waves = 0.5 + 0.5 * stripes((2 + 5 * density) * grid.y + 0.3 * jnp.sin(5 * grid.x))
    water = grid.fill(0.72 - grid.y)
    canvas = paint(canvas, water, 0.5 * high + 0.1 * glow)
    return paint(canvas, water * waves * jnp.exp(-(((grid.x - sun_x) / 0.35) ** 2)) * 0.8, glow)


def _modern(grid: Grid, u: Numbers, density: Scalar) -> Canvas:
    """Flat rectangles in primary colors and a disc, between black lines, on gray paper: no depth and no light."""
    canvas = light((0.8, 0.78, 0.73), jnp.ones_like(grid.x))
    palette = jnp.array([[0.85, 0.1, 0.1], [0.95, 0.8, 0.1], [0.1, 0.2, 0.65], [0.1, 0.1, 0.1]])
    tilt_x, tilt_y = grid.rotate(0.0, 0.0, jnp.where(u[0] < 0.5, 0.0, u[1] - 0.5))
    for i in range(4):
        x, y, width, height = _between(u[8 + 5 * i : 12 + 5 * i], (-0.8, 0.8), (-0.8, 0.8), (0.12, 0.45), (0.12, 0.45))
        mask = grid.fill(jnp.maximum(jnp.abs(tilt_x - x) - width, jnp.abs(tilt_y - y) - height))
        color = palette[jnp.minimum((3 * u[12 + 5 * i]).astype(int), 2)]
        canvas = paint(canvas, mask, color)
    x, y, radius = _between(u[2:5], (-0.6, 0.6), (-0.6, 0.6), (0.15, 0.35))
    canvas = paint(canvas, grid.fill(grid.disc(x, y, radius)), palette[(4 * u[5]).astype(int)])
    lines = 1 + 9 * density
    for i in range(10):
        position = 1.8 * u[32 + i] - 0.9
        across = tilt_x if i % 2 else tilt_y
        shown = jnp.clip(lines - i, 0.0, 1.0)
        canvas = paint(canvas, shown * grid.fill(jnp.abs(across - position) - 0.025), (0.05, 0.05, 0.05))
    return canvas


PAINTERS = {
    "renaissance": _renaissance,
    "baroque": _baroque,
    "classical": _classical,
    "romantic": _romantic,
    "modern": _modern,
}


def _between(u: Numbers, *ranges: tuple[float, float]) -> list[Scalar]:
    """Map random numbers in [0, 1) to the given ranges, each from low to high."""
    return [low + (high - low) * u[i] for i, (low, high) in enumerate(ranges)]
