"""The compiler: from a checked spec to the text of a torch module, without torch."""
