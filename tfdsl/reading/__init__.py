"""Every way to ask a trained model that writes nothing: words that are missing, classes, vectors, probabilities."""
