"""The layout of statements, each as ruff has it."""

from __future__ import annotations

import subprocess
import sys

from tfdsl.codegen.format import lay

# Statements as the compiler makes them: each on one line, however long.
LONG = '''"""A file."""

import torch


def short(a, b):
    return a


def f(alpha, beta=None, *, gamma=1.0, delta="a, (b", epsilon=None, zeta=None, eta=None, theta=0):
    """Say nothing,

    for long.
    """
    # A comment, with (a bracket
    alpha = short(alpha, "x" * 20, some_name_that_is_rather_long, another_name_that_is_rather_long_too)
    beta = alpha.first(1).second(alpha_is_long_here, beta_is_long_here_too, gamma_is_long_as_well_x1)
    gamma_is_a_long_name_here = alpha_is_long_here if beta_is_long_here_too else gamma_is_long_as_well_x1
    gamma_is_a_long_name_here = alpha_is_long_here or beta_is_long_here_too and gamma_is_long_as_well_x1
    alpha[beta] = {"first": alpha, "second": beta, "third": gamma, "fourth": delta, "fifth": epsilon_x}
    layers = (FirstLayerOfTheModel, SecondLayerOfTheModel, FirstLayerOfTheModel, SecondLayerOfTheModel)
    for first, second in short(alpha_is_long_here, beta_is_long_here_too, gamma_is_long_as_well_x1, zz):
        if alpha is None:
            raise ValueError(f"a text that is long, with {alpha} and {beta} in it, (and)")
        elif beta:
            return short(short(alpha_is_long_here, 1), short(beta_is_long_here_too, 2), [gamma_x, 3, 4])
        else:
            self.layers = nn.ModuleList(AVeryLongClassNameForALayerOfTheModel() for _ in range(1234567))
    return short(first_argument_is_long=alpha, second_argument_is_long=beta, third_argument_long=gamma_1)
'''


def test_long_statements_are_split_as_ruff_splits_them() -> None:
    ours = lay(LONG)
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "-"],
        input=LONG,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ours == ran.stdout
    assert lay(ours) == ours


def test_what_was_split_and_is_short_now_is_joined() -> None:
    split = 'def f(\n    a,\n    b,\n):\n    return g(\n        a,\n        (b,),\n        "c,)",\n    )\n'
    assert lay(split) == 'def f(a, b):\n    return g(a, (b,), "c,)")\n'
