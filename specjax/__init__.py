"""Implementations of papers on spectrograms and neural networks in JAX.

`signal` and `image` are functions of arrays: short-time Fourier transforms, mel spectrograms, phase reconstruction,
oscillators; structural similarity, Perlin noise, resampling. `data` reads files, and `papers.open_bundle` trained
models. `measure` judges generated examples. `nn` and `optim` have what the networks of the papers share. Each paper is
a package: `papers.chord`, `papers.melody`, `papers.mvnet` and `papers.texture`.

`help(specjax.signal)` lists the functions of a package, and docs/library.md shows how to use them. Importing `specjax`
imports no large library, not even JAX: each module is imported when one of its names is first used.
"""

from specjax import data, image, measure, nn, optim, papers, signal

__version__ = "0.2.0"
__all__ = ["data", "image", "measure", "nn", "optim", "papers", "signal"]
