"""The numbers that several settings take."""

from typing import Annotated, Any

from tfdsl.parts import Number

Share = Annotated[float, Number(minimum=0, below=1)]
NotBelow = Annotated[float, Number(minimum=0)]
Seed = Annotated[int, Number(integer=True, minimum=0, below=2**31)]


def known(*values: Any) -> bool:
    """Return whether settings are numbers: where a spec is read first, they may be formulas still."""
    return all(isinstance(each, int | float) for each in values)
