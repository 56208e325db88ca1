"""Figures: a checked spec drawn as DOT, and as SVG, PNG or PDF."""
