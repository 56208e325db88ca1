"""What models are trained on: read, made into tokens, and kept as arrays on disk."""
