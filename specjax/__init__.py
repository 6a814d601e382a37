"""specjax: spectrograms and neural networks, four papers on one JAX engine."""

__version__ = "0.1.0"
