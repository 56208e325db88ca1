"""A section of a spec whose class is imported when a spec has it: most have no settings, and start sooner for it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from tfdsl.parts import Part


@dataclass(frozen=True, slots=True)
class Later:
    """The part `name` of a `module`, as the annotation of a field: `Annotated[Any, Later("tfdsl.mapping", "Weights")]`.

    The default of such a field is None.
    """

    module: str
    name: str

    def part(self) -> type[Part]:
        """Return the class, imported now if it was not."""
        found: type[Part] = getattr(importlib.import_module(self.module), self.name)
        return found

    def read(self, value: Any) -> Part:
        """Return the part that a value describes."""
        return self.part().read(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)
