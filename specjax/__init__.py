"""specjax: implementations of papers on spectrograms and neural networks in JAX."""

__version__ = "0.2.0"
