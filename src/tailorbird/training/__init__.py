"""Data sets, and training and evaluation of stitched networks. Imports torch."""

from tailorbird.training.data import digits
from tailorbird.training.data.dataset import Dataset, Split
from tailorbird.training.stitching.settings import Training
from tailorbird.training.stitching.train import load, train
from tailorbird.training.stitching.trained import Trained

__all__ = ["Dataset", "Split", "Trained", "Training", "digits", "load", "train"]
