"""How accuracy comes about: data sets, training and evaluation. Imports torch."""

from tailorbird.training.dataset import Dataset, Split
from tailorbird.training.stitch import Training, train
from tailorbird.training.trained import Trained, accuracy, accuracy_std

__all__ = ["Dataset", "Split", "Trained", "Training", "accuracy", "accuracy_std", "train"]
