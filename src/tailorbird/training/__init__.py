"""How accuracy comes about: data sets, training and evaluation. Imports torch."""

from tailorbird.training.dataset import Dataset, Split
from tailorbird.training.settings import Training
from tailorbird.training.stitch import load, train
from tailorbird.training.trained import Trained

__all__ = ["Dataset", "Split", "Trained", "Training", "load", "train"]
