"""Foreign checkpoints, without torch: the `weights` section, the names with gaps in it, and what it says in full."""

from tfdsl.mapping.section import Take, Weights

__all__ = ["Take", "Weights"]
