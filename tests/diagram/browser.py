"""The figures in a browser: every text inside its box, as headless Chromium sets it with the fonts that it has.

Run by hand where a Chromium is installed: `pytest tests/diagram/browser.py`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tfdsl
from tfdsl import diagram
from tfdsl.diagram.engines import render

SPECS = Path(__file__).parents[2] / "specs"
SCRIPT = """
const outside = [];
for (const node of document.querySelectorAll("g.node")) {
  const shape = node.querySelector("path, ellipse");
  if (!shape) continue;
  const box = shape.getBBox();
  for (const text of node.querySelectorAll("text")) {
    const words = text.getBBox();
    const wide = words.x < box.x - 0.5 || words.x + words.width > box.x + box.width + 0.5;
    const high = words.y < box.y - 1 || words.y + words.height > box.y + box.height + 1;
    if (wide || high) outside.push(text.textContent);
  }
}
document.querySelector("pre").textContent = "outside " + JSON.stringify(outside);
"""


@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.yaml")))
def test_every_text_is_inside_its_box(name: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    svg = render(diagram.draw(tfdsl.check(SPECS / f"{name}.yaml")), "svg").data.decode()
    page = tmp_path / "page.html"
    body = svg[svg.index("<svg") :]
    page.write_text(
        f'<!doctype html><meta charset="utf-8">{body}<pre></pre><script>{SCRIPT}</script>', encoding="utf-8"
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    found = re.search(r"<pre>outside (.*)</pre>", dumped)
    assert found is not None
    assert json.loads(found.group(1)) == []
