"""What is left of a layer's text in a model that uses it in one way."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap

import pytest
import torch

import tfdsl
from tfdsl.codegen.calls import Signature, uses
from tfdsl.codegen.fold import GIVEN, UNKNOWN, Fold
from tfdsl.codegen.format import lay
from tfdsl.codegen.gather import gather
from tfdsl.codegen.library import library
from tfdsl.codegen.prune import prune


def model(made: str, run: str) -> str:
    return textwrap.dedent(f'''\
        class Model(nn.Module):
            """A model."""

            def __init__(self):
                super().__init__()
                self.layer = {made}

            def forward(self, x_BTD, cache=None):
                return {run}
        ''')


def gathered(made: str, run: str = "self.layer(x_BTD)") -> str:
    return lay(gather(model(made, run)))


def test_a_feed_forward_layer_is_what_it_does() -> None:
    made = 'FeedForward(8, 16, activation="silu", gated=True, bias=False, dropout=0.0)'
    assert gathered(made) == textwrap.dedent('''\
        class FeedForward(nn.Module):
            """Two projections with an activation between them: x_BTD -> x_BTD.

            Source: Vaswani et al. 2017, equation 2.
            """

            def __init__(self, width, hidden):
                super().__init__()
                # One projection for the gate and for what it gates (Shazeer 2020).
                self.up = nn.Linear(width, 2 * hidden, bias=False)
                self.down = nn.Linear(hidden, width, bias=False)

            def forward(self, x_BTD):
                h_BTF = self.up(x_BTD)
                gate_BTF, h_BTF = h_BTF.chunk(2, dim=-1)
                h_BTF = F.silu(gate_BTF) * h_BTF
                return self.down(h_BTF)


        class Model(nn.Module):
            """A model."""

            def __init__(self):
                super().__init__()
                self.layer = FeedForward(8, 16)

            def forward(self, x_BTD, cache=None):
                return self.layer(x_BTD)
        ''')


def test_what_differs_between_two_uses_stays_an_argument() -> None:
    text = model('FeedForward(8, 16, activation="relu", dropout=0.1)', "self.other(self.layer(x_BTD))")
    text = text.replace(
        "    self.layer =", '    self.other = FeedForward(8, 4, activation="silu", dropout=0.0)\n        self.layer ='
    )
    found = gather(text)
    assert "def __init__(self, width, hidden, activation, dropout):" in found
    assert "if self.dropout > 0:" in found
    assert "ACTIVATIONS[self.activation](h_BTF)" in found
    assert "chunk" not in found
    assert 'self.layer = FeedForward(8, 16, activation="relu", dropout=0.1)' in found


@pytest.mark.parametrize(
    ("run", "signature", "holds", "lacks"),
    [
        ("(x_BTD)", "x_BTD", ["is_causal=True"], ["cache", "mask", "rope", "rotate"]),
        ("(x_BTD, cache=cache)", "x_BTD, cache=None", ["cache.lower_right(x_BTD)"], ["rope", "mask=None"]),
        ("(x_BTD, mask=table(x_BTD))", "x_BTD, mask", ["attn_mask=mask"], ["cache", "is_causal"]),
        ("(x_BTD, rope=angles(x_BTD))", "x_BTD, rope", ["def rotate(x_BHTK, rope):"], ["cache", "rotated"]),
    ],
)  # fmt: skip
def test_attention_takes_only_what_it_is_given(run: str, signature: str, holds: list[str], lacks: list[str]) -> None:
    text = gathered('Attention(8, 2, kv_heads=None, bias="qkv", causal=True, style="half")', f"self.layer{run}")
    assert f"def forward(self, {signature}):" in text
    for word in holds:
        assert word in text
    own = text.split("class Model")[0]
    assert not [word for word in lacks if word in own]


def test_every_layer_can_be_gathered_as_it_is() -> None:
    """No definition holds a statement that the folding does not know, and none a comment inside brackets."""
    for name, entry in library().items():
        parts = entry.node.body if isinstance(entry.node, ast.ClassDef) else []
        init = next((each for each in parts if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
        if init is not None:
            wanted = len(init.args.args) - 1 - len(init.args.defaults)
            given = ", ".join("size" for _ in range(wanted))
            text = "import torch\n" + gathered(f"{name}({given})", "self.layer(*inputs)")
            compile(text, name, "exec")
            ran = subprocess.run(
                [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", "-"],
                input=text,
                capture_output=True,
                text=True,
            )
            assert ran.returncode in (0, 1), ran.stderr


def folded(text: str, uses: list[dict[str, object]], constants: dict[str, object]) -> str:
    fold = Fold(text, uses, constants)
    return "\n".join(fold.body(ast.parse(text).body, 0))


CASES = {
    "decided": (
        "if a:\n    x = 1\nelif b:\n    # why\n    x = 2\nelse:\n    x = 3",
        {"a": False, "b": UNKNOWN},
        "if b:\n    # why\n    x = 2\nelse:\n    x = 3",
    ),
    "chain": (
        "if b:\n    x = 1\nelif a:\n    x = 2\nelif c:\n    x = 3",
        {"a": False, "b": UNKNOWN, "c": UNKNOWN},
        "if b:\n    x = 1\nelse:\n    if c:\n        x = 3",
    ),
    "comment of the dead": (
        "if a:\n    # dead\n    x = 1\nelse:\n    # alive\n    x = 2",
        {"a": False},
        "# alive\nx = 2",
    ),
    "is none": ("y = f(a) if a is not None else g(b)", {"a": GIVEN, "b": UNKNOWN}, "y = f(a)"),
    "either": ("y = a and b or c", {"a": True, "b": UNKNOWN, "c": UNKNOWN}, "y = b or c"),
    "kept apart": ("y = a and (b or c) and d", {"a": True} | dict.fromkeys("bcd", UNKNOWN), "y = (b or c) and d"),
    "always": ("y = f(b or not a)", {"a": False, "b": UNKNOWN}, "y = f(True)"),
    "name for none": ("t = a\ny = f(t, t is None)", {"a": None}, "y = f(None, True)"),
    "zero": ("y = f(x[s : s + 2], r(s + n), x[s:])", {"s": 0}, "y = f(x[:2], r(n), x)"),
    "same either way": ("y = p if q else 0.0", {"p": 0.0, "q": UNKNOWN}, "y = 0.0"),
    "usual": ("y = nn.Linear(2, 3, bias=a)", {"a": True}, "y = nn.Linear(2, 3)"),
    "unusual": ("y = nn.Linear(2, 3, bias=a)", {"a": False}, "y = nn.Linear(2, 3, bias=False)"),
    "compared": ('y = f(a in ("p", "q"), a == "p", b > 0)', {"a": "p", "b": 2}, "y = f(True, True, True)"),
}


@pytest.mark.parametrize("case", CASES)
def test_folding(case: str) -> None:
    text, known, wanted = CASES[case]
    constants = {name: value for name, value in known.items() if value is not UNKNOWN and value is not GIVEN}
    constants = {
        name: value
        for name, value in constants.items()
        if value is None or isinstance(value, bool | str | float) or value == 0
    }
    assert folded(text, [known], constants) == wanted


def test_a_test_is_decided_where_all_uses_agree() -> None:
    text = "if a > 0:\n    x = f(a)"
    assert folded(text, [{"a": 1}, {"a": 2}], {}) == "x = f(a)"
    assert folded(text, [{"a": 1}, {"a": 0}], {}) == text
    assert folded(text, [{"a": 0}, {"a": 0}], {}) == ""


def test_a_chain_becomes_shorter_not_deeper() -> None:
    text = "if b:\n    x = 1\nelif c:\n    x = 2\nelse:\n    x = 3"
    assert folded(text, [{"b": UNKNOWN, "c": UNKNOWN}], {}) == text


def test_pruning() -> None:
    init = "class A:\n    def __init__(self, a, b):\n"
    text = init + "        self.a = a\n        self.b = b\n        c = b\n        self.d = f(c)\n"
    assert prune(text) == init + "        self.d = f(b)\n"


def test_nothing_is_known_without_calls() -> None:
    assert uses(Signature(("a",)), []).fixed == {}


def test_what_is_nothing_in_one_layer_and_something_in_another_is_kept() -> None:
    """One attention adds a table to its scores, the other nothing: the class of both takes it where it is."""
    text = """
tfdsl: 1
name: both
inputs: {x: {shape: [B, T, 16], dtype: float}}
model: [attention: {from: x, heads: 4, position: t5}, attention: 4]
"""
    model = tfdsl.build(tfdsl.check(text))
    x = torch.randn(2, 9, 16)
    before = model(x)
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if "relative" in name).normal_()
    assert (model(x) - before).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"first": True}, ["    found = None", "    if x > 0:", "        found = x", "    return found"]),
        ({"first": False}, ["    if x > 0:", "        pass_ = x", "    return None"]),
    ],
)
def test_a_name_that_is_set_again_is_not_put_in_place(known: dict[str, bool], wanted: list[str]) -> None:
    source = textwrap.dedent("""\
        def read(x, first):
            found = None
            if first:
                if x > 0:
                    found = x
            else:
                if x > 0:
                    pass_ = x
            return found""")
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert Fold(source, [known], {}).function(function.body, 4) == wanted
