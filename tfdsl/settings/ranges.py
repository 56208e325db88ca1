"""The numbers that several settings take."""

from typing import Annotated

from tfdsl.parts import Number

Share = Annotated[float, Number(minimum=0, below=1)]
NotBelow = Annotated[float, Number(minimum=0)]
Seed = Annotated[int, Number(integer=True, minimum=0, below=2**31)]
