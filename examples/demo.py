"""The whole way of one spec, as `make demo` runs it: check, draw, cost, compile, train, sample.

Every step is a command that a person would type; it is shown before it runs. What it makes lies in demo/.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SPEC = "specs/stdlib.yaml"
FOLDER = Path("demo")
RUN = FOLDER / "run"


def main() -> int:
    """Run the steps in the repository's root; stop at the first that fails, with its exit code."""
    (ROOT / FOLDER).mkdir(exist_ok=True)
    shutil.rmtree(ROOT / RUN, ignore_errors=True)
    began = time.monotonic()
    steps = [
        ("Check the spec: names, shapes, sizes.", ["check", SPEC]),
        ("Draw it.", ["render", SPEC, "-o", f"{FOLDER}/model.svg"]),
        (
            "Draw it once more, as a picture for a dark page.",
            ["render", SPEC, "-o", f"{FOLDER}/model.png", "--theme", "dark"],
        ),
        ("Count what it costs.", ["cost", SPEC, "--batch", "8"]),
        ("Write it as PyTorch.", ["compile", SPEC, "-o", f"{FOLDER}/model.py"]),
        (
            "Train it for two minutes on the source of Python's own library, which is on this machine.",
            ["train", SPEC, "-o", str(RUN)],
        ),
        ("Let it write some Python.", ["sample", str(RUN), "--prompt", "def read_file(path):\n"]),
    ]
    for number, (title, arguments) in enumerate(steps, 1):
        print(f"\n── {number} of {len(steps)} · {title}\n\n$ tfdsl {shlex.join(arguments)}\n", flush=True)
        code = subprocess.run([sys.executable, "-m", "tfdsl", *arguments], cwd=ROOT, check=False).returncode
        if code:
            print(f"\nThe demo stops here: `tfdsl {arguments[0]}` ended with exit code {code}.", file=sys.stderr)
            return code
    print(END.format(spec=SPEC, folder=FOLDER, run=RUN, minutes=(time.monotonic() - began) / 60))
    return 0


END = """
── Done in {minutes:.1f} minutes. What there is now:

  {folder}/model.svg       the diagram (and model.png, for a dark page)
  {folder}/model.py        the model as PyTorch source; it needs torch alone
  {run}/            the run: spec, settings, tokenizer, weights, log
  {run}/loss.png    the loss curve (and loss.svg)

What to try next, from this folder:

  . .venv/bin/activate
  tfdsl sample {run} --prompt "class Stack:" --seed 1
  tfdsl cost {spec} --set dims.n_layers=8 --axis T=1024
  tfdsl new llama -o my.yaml        # a spec of your own; then: tfdsl check my.yaml
  tfdsl kinds attention             # what a node takes

docs/tour.md takes you through the language in ten minutes.
"""

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
