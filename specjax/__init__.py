"""specjax: spectrograms and neural networks, four papers in one JAX house."""

__version__ = "0.1.0"
