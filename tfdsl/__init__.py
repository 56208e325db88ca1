"""tfdsl: a modelling language for the Transformer family."""

__version__ = "0.1.0"
