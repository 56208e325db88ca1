"""What a user does with a kind of another package; `tests/test_plugin.py` runs it where that package is installed."""

import json
import sys

import tfdsl
from tfdsl import node, report

TEXT = """
tfdsl: 1
name: adapted
dims: {d_model: 12}
inputs: {tokens: {shape: [B, T], vocab: 19}}
outputs: {logits: [B, T, 19]}
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - attention: {heads: 2, mask: causal}
  - bottleneck: {width: d_model / 3, twice: true}
  - unembed: {id: logits, tie: tok}
"""
said: dict[str, object] = {}

tfdsl.check(TEXT.replace("bottleneck: {width: d_model / 3, twice: true}", "dropout: 0.1"))
said["there"] = "bottleneck" in node.kinds()
said["loaded without need"] = [name for name in sys.modules if name.startswith("tfdsl_bottleneck")]

wrong = tfdsl.check(TEXT.replace("d_model / 3, twice", "12, twise"))
said["a wrong field"] = report.render(wrong.diagnostics, wrong.document.texts)
wrong = tfdsl.check(TEXT.replace("d_model / 3", "12"))
said["a wrong shape"] = report.render(wrong.diagnostics, wrong.document.texts)

checked = tfdsl.check(TEXT)
said["diagnostics"] = len(checked.diagnostics)
said["written"] = tfdsl.load(checked).to_yaml().splitlines()[-2]
said["drawn"] = "Bottleneck" in tfdsl.draw(checked) and "12 → 4 → 12" in tfdsl.draw(checked)
cost = tfdsl.cost(checked, {"B": 2, "T": 5})
said["parameters"] = cost.parameters
text = tfdsl.compile(checked)
said["compiled"] = next(part for part in text.split("\n\n\n") if part.startswith("class Bottleneck"))
said["without torch"] = "torch" not in sys.modules and "tfdsl_bottleneck.layers" not in sys.modules

from tests import measure  # noqa: E402  (imports torch)

model = tfdsl.build(checked)
given = measure.inputs(checked, {"B": 2, "T": 5})
said["built"] = sum(weight.numel() for weight in model.parameters())
said["costed as PyTorch counts"] = [
    measure.flops(tfdsl.build(checked).to("meta"), [each.to("meta") for each in given])
    == (cost.forward, cost.training),
    measure.kept(model, given) == cost.activations,
]
said["gives"] = list(model(*given).shape)
said["others compile without it"] = "Bottleneck" not in tfdsl.compile(
    TEXT.replace("bottleneck:", "ffn:").replace("width: d_model / 3, twice: true", "hidden: 8")
)
json.dump(said, sys.stdout)
