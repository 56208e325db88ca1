"""The child process that paints: DOT comes in, the picture goes out. Graphviz's crashes and noise stay in here.

Run as a script with a format, a scale and limits; it knows nothing of tfdsl.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def limit(memory: int, seconds: int) -> None:
    """Bound this process, where the system can, to so many bytes of memory and seconds of work."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the only limit there
        return
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):
            continue


def paint(dot: str, form: str, dpi: str) -> bytes:
    """Return the picture of a DOT text whose every place is decided."""
    pygraphviz: Any = importlib.import_module("pygraphviz")
    graph = pygraphviz.AGraph(string=dot)
    if form == "png":
        graph.graph_attr["dpi"] = dpi
    picture = graph.draw(format=form, prog="nop2")
    return picture.encode() if isinstance(picture, str) else bytes(picture or b"")


if __name__ == "__main__":
    form, dpi, memory, seconds = sys.argv[1:]
    limit(int(memory), int(seconds))
    sys.stdout.buffer.write(paint(sys.stdin.buffer.read().decode(), form, dpi))
