"""A kind for tfdsl from another package."""
