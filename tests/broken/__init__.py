"""Specs with one mistake each: what is changed in a spec that is right, and what must be said of it, and where."""

from tests.broken import document, nodes, parameters, settings, streams

BREAKS = [*document.BREAKS, *nodes.BREAKS, *streams.BREAKS, *settings.BREAKS, *parameters.BREAKS]
