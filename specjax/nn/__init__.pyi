from .attention import SelfAttention
from .bilinear_conv import BilinearConv
from .causal_transformer import CausalTransformer
from .conv import Conv, UpConv
from .norm import BatchNormLeakyReLU
from .residual import ResidualBlock, SameConv
from .separable import RowHead, UpsampledConv
from .strided_conv import StridedConv, TransposedConv
from .time_conv import TimeConv

__all__ = [
    "SelfAttention",
    "BilinearConv",
    "CausalTransformer",
    "Conv",
    "UpConv",
    "BatchNormLeakyReLU",
    "ResidualBlock",
    "SameConv",
    "RowHead",
    "UpsampledConv",
    "StridedConv",
    "TransposedConv",
    "TimeConv",
]
