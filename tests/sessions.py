"""Pages that run: Markdown whose console blocks are commands with what they print, and whose other blocks may be files.

    ```yaml file=tiny.yaml        writes the block into the page's folder
    ```console                    runs each `$` line in a shell there; the lines below it are what it must print
    ```console not run            shows commands that take too long

What a command prints is standard output and standard error together; an exit code other than 0 ends it as `[exit 1]`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(?P<head>[^\n`]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def replay(page: str, folder: Path) -> str:
    """Run a page in `folder` and return it with what its commands print now."""
    shell = _shell(folder)

    def block(match: re.Match[str]) -> str:
        head, body = match["head"].strip(), match["body"]
        if "file=" in head:
            (folder / head.partition("file=")[2].split()[0]).write_text(body, encoding="utf-8")
        if head != "console":
            return match[0]
        commands = [line for line in body.splitlines() if line.startswith("$ ")]
        return f"```console\n{''.join(_run(command, folder, shell) for command in commands)}```"

    return BLOCK.sub(block, page)


def _run(command: str, folder: Path, environment: dict[str, str]) -> str:
    arguments = ["sh", "-c", command.removeprefix("$ ").partition("   #")[0]]
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    printed = done.stdout.decode()
    code = f"[exit {done.returncode}]\n" if done.returncode else ""
    return f"{command}\n{printed}{'' if printed.endswith(chr(10)) or not printed else chr(10)}{code}"


def _shell(folder: Path) -> dict[str, str]:
    """Return an environment in which `tfdsl` is this working tree's, and `specs/` is ours."""
    bin_ = folder / ".bin"
    bin_.mkdir()
    program = bin_ / "tfdsl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tfdsl "$@"\n')
    program.chmod(0o755)
    (folder / "specs").symlink_to(ROOT / "specs")
    kept = {
        name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE") if name in os.environ
    }
    path = f"{bin_}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
