"""The commands, each imported when it is run, and what becomes of what goes wrong in one."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from keyword import iskeyword
from pathlib import Path
from types import FrameType

import click

from tfdsl import __version__
from tfdsl.cli.output import Stop
from tfdsl.disk import reason

COMMANDS = {
    "new": "Write a spec to start from",
    "check": "Say what is wrong in specs",
    "render": "Draw a spec",
    "cost": "Count parameters, FLOPs and memory",
    "compile": "Write the PyTorch source of a spec",
    "prepare": "Make tokens of data before training",
    "train": "Train a spec on text",
    "sweep": "Train a spec many times, and compare",
    "plot": "Draw the curves of runs",
    "sample": "Write text with a trained model",
    "fill": "Say which words are missing in a text",
    "classify": "Say which class texts or images are of",
    "embed": "Turn texts or images into vectors",
    "score": "Measure how likely texts are to a model",
    "weights": "List the weights of a spec, or the tensors of a checkpoint",
    "import": "Make a run of a Hugging Face checkpoint",
    "export": "Write a run as a Hugging Face checkpoint",
    "explain": "Say what a diagnostic's code means",
    "schema": "Write the JSON Schema for editors",
    "kinds": "List the kinds of node, or one kind's fields",
}
EMITTED = "<tfdsl "  # how the name of a model's file begins, which stands nowhere but in memory
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """A group that imports a command's file when the command is used, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None."""
        if cmd_name not in COMMANDS:
            return None
        file = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = importlib.import_module(f"tfdsl.cli.{file}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for one that is not there, name the nearest."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(_no_command(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _no_command(word: str) -> str:
    from difflib import get_close_matches

    if Path(word).suffix in (".yaml", ".yml"):
        return f"`{word}` is not a command. To check that spec: tfdsl check {word}"
    near = get_close_matches(word, COMMANDS, 1)
    return f"there is no command `{word}`." + (f" Did you mean `{near[0]}`?" if near else "")


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(__version__, message="tfdsl %(version)s")
def program() -> None:
    """Transformers written in YAML: checked, drawn, costed, compiled, trained and sampled.

    Start with `tfdsl new gpt -o my.yaml`, then `tfdsl check my.yaml`. Every command has --help.
    """


def run(arguments: list[str]) -> int:
    """Run the command that `arguments` name and return its exit code; no exception of a user's making leaves it."""
    try:
        with program.make_context("tfdsl", arguments) as context:
            return int(program.invoke(context) or 0)
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        if _speaks():
            error.show()
        return error.exit_code
    except Stop as stop:
        if stop.message and _speaks():
            click.echo(f"tfdsl: {stop.message}", err=True)
        return stop.code
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename is None:
            raise  # of the standard output
        refusal = f"`{error.filename}`: {reason(error)}"
        click.echo(f"tfdsl: {refusal}", err=True)
        return 2
    except Exception as error:
        if os.environ.get("TFDSL_TRACE"):
            raise
        said, code = _unmet(error)
        click.echo(said, err=True)
        return code


def _speaks() -> bool:
    """Return whether this process says what is wrong: the only one, or the first of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def _unmet(error: Exception) -> tuple[str, int]:
    """Return what to say of an exception that no command met, by whose code raised it, and the exit code."""
    from traceback import walk_tb

    from tfdsl import report
    from tfdsl.faults import RunError, SpecError

    if isinstance(error, RunError):  # of a run's folder that holds what another version made, or a half
        return report.render(error.diagnostics, {}).strip("\n"), 1
    if isinstance(error, SpecError):
        return str(error).strip("\n"), 1
    what = f"{type(error).__name__}: {error}"
    trace = f"`TFDSL_TRACE=1 {shlex.join(['tfdsl', *sys.argv[1:]])}` shows the whole of it"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in what or "out of memory" in what:
        return f"tfdsl: the memory does not suffice: {what.splitlines()[0]}\n       {trace}", 1
    frames, packages = list(walk_tb(error.__traceback__)), _packages()
    whose = "tfdsl, not of your spec"
    known = next(filter(None, (_owner(each, packages) for each, _ in frames[::-1])), "")
    at = f" ({Path(frames[-1][0].f_code.co_filename).name}:{frames[-1][1]})" if frames else ""
    if known == EMITTED:
        inner = next(each for each, _ in frames[::-1] if _owner(each, packages) == EMITTED)
        at = f", in `{inner.f_code.co_qualname}` of the model"
        if isinstance(error, ValueError):  # a layer says it of what it is given
            return f"tfdsl: the model cannot do that: {what}{at}\n       {trace}", 1
        whose = "tfdsl, or of a package whose kind the spec uses" if packages else whose
    elif known in packages:
        whose = f"the package `{known}`, whose kind the spec uses"
    return f"tfdsl: this is a defect of {whose}: {what}{at}\n       {trace}; please report that.", 70


def _owner(frame: FrameType, packages: set[str]) -> str:
    """Return whose code a frame runs: the model's, a package's that has kinds, or ours."""
    name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if frame.f_code.co_filename.startswith(EMITTED):
        return EMITTED
    return name if name in packages or name == "tfdsl" else ""


def _packages() -> set[str]:
    """Return the packages that have kinds of node."""
    from importlib.metadata import entry_points

    return {point.module.partition(".")[0] for point in entry_points(group="tfdsl.nodes")}
