"""What the compiler writes needs torch alone: the text is run in a process that has never heard of tfdsl."""

import subprocess
import sys
import tempfile
from pathlib import Path

import tfdsl

BERT = Path(__file__).parent.parent / "specs/bert.yaml"
PROGRAM = """
import sys, torch
from model import Model

model = Model().eval()
tokens = torch.tensor([[101, 7592, 2088, 102, 0, 0]])  # the last two are padding
with torch.no_grad():
    results = model(tokens, torch.zeros_like(tokens))
print({name: tuple(value.shape) for name, value in results.items()})
assert "tfdsl" not in sys.modules
"""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        text = tfdsl.compile(tfdsl.check(BERT, ["dims.n_layers=2", "dims.d_model=96"]))
        Path(folder, "model.py").write_text(text, encoding="utf-8")
        subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, check=True)
