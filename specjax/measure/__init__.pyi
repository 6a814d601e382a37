from .auc import discriminator_auc, pairwise_auc
from .comparison import compare_embeddings
from .correlation import rank_correlation
from .frechet import frechet_distance, gaussian_frechet_distance
from .intervals import confidence_half_width, share_interval
from .kernel import kernel_distance
from .memorization import memorization_ratios
from .precision_recall import prdc

__all__ = [
    "discriminator_auc",
    "pairwise_auc",
    "compare_embeddings",
    "rank_correlation",
    "frechet_distance",
    "gaussian_frechet_distance",
    "confidence_half_width",
    "share_interval",
    "kernel_distance",
    "memorization_ratios",
    "prdc",
]
