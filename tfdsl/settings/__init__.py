"""What a spec's `train` and `sample` sections may say, and what holds where they say nothing."""

from tfdsl.settings.data import Data, Image, Tokenizer
from tfdsl.settings.objective import Objective
from tfdsl.settings.optimizer import Average, Optimizer
from tfdsl.settings.sample import Sample, anew
from tfdsl.settings.schedule import Schedule
from tfdsl.settings.train import Checkpoint, Evaluate, Train

__all__ = [
    "Average",
    "Checkpoint",
    "Data",
    "Evaluate",
    "Image",
    "Objective",
    "Optimizer",
    "Sample",
    "Schedule",
    "Tokenizer",
    "Train",
    "anew",
]
