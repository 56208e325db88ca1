"""The command line: arguments in, text and an exit code out; one file a command."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def start() -> int:
    """Run the command that the process was started with; what `tfdsl` and `python -m tfdsl` call.

    A short command would spend a third of its time on looking for garbage that is not there and on taking itself apart.
    What it wrote is flushed by then, so it ends at once; where torch was loaded, Python ends as it always does.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would look through all packages for them
    gc.set_threshold(100_000, 20, 20)
    code = main()
    gc.freeze()
    if "torch" not in sys.modules:
        os._exit(code)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 well, 1 the spec or the run is wrong, 2 the command line is wrong.

    130 means stopped by Ctrl-C, 141 that the reader of the output went away, 70 a defect of tfdsl itself.
    """
    try:
        from tfdsl.cli.app import run

        code = run(list(sys.argv[1:] if arguments is None else arguments))
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # where the shell closed it (`>&-`), Python has None
                stream.flush()
        return code
    except KeyboardInterrupt:
        print("\ntfdsl: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # What is still buffered has no reader; without this the interpreter would complain about it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:  # of the standard output: all others are met where they arise
        print(f"tfdsl: cannot write the output: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
