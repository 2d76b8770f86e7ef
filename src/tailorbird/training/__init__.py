"""Data sets, and training and evaluation of networks that share weights. Imports torch."""

# ruff: noqa: E402  # torch is asked for first, by name, before Python fails at an import below

from tailorbird.errors import require

require("torch")

from tailorbird.training.data import digits
from tailorbird.training.data.arrays import Split
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.data.torch_images import TorchImages
from tailorbird.training.finetuning.settings import Finetuning
from tailorbird.training.finetuning.train import Finetuned, finetune
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.trained import Trained
from tailorbird.training.stitching.settings import Training
from tailorbird.training.stitching.train import load, train
from tailorbird.training.supernet.rules import Pass, Rule, RuleInputs, Step
from tailorbird.training.supernet.settings import SupernetTraining
from tailorbird.training.supernet.train import load as load_supernet
from tailorbird.training.supernet.train import train as train_supernet

__all__ = [
    "Dataset",
    "Finetuned",
    "Finetuning",
    "Pass",
    "Rule",
    "RuleInputs",
    "SharedNetwork",
    "Split",
    "Step",
    "SupernetTraining",
    "TorchImages",
    "Trained",
    "Training",
    "digits",
    "finetune",
    "load",
    "load_supernet",
    "train",
    "train_supernet",
]
