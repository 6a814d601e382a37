from .augment import affine, random_affine
from .edges import sobel
from .linear import area_matrix, gaussian_matrix, resample_matrix, separable
from .perlin import perlin_noise
from .similarity import ms_ssim, ssim
from .strokes import change_stroke_width, random_stroke_width

__all__ = [
    "ms_ssim",
    "ssim",
    "perlin_noise",
    "sobel",
    "affine",
    "random_affine",
    "change_stroke_width",
    "random_stroke_width",
    "area_matrix",
    "gaussian_matrix",
    "resample_matrix",
    "separable",
]
