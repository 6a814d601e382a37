from .classify import ClassifierInference
from .config import ClassifierConfig
from .inference import extract_features, invert, read_spectrogram
from .model import Classifier, ModelConfig
from .representation import Representation
from .sounds import CLASSES, synthesize

__all__ = [
    "ClassifierConfig",
    "CLASSES",
    "synthesize",
    "Representation",
    "Classifier",
    "ModelConfig",
    "ClassifierInference",
    "extract_features",
    "invert",
    "read_spectrogram",
]
