"""The files of a foreign checkpoint, opened with care: `config.json`, and tensors in one file or in several."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from tfdsl.diagnostics import Diagnostic

CONFIG, ALONE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
LARGEST = 64 << 20  # bytes of a JSON file


@dataclass(frozen=True, eq=False)
class Tensors(Mapping[str, Tensor]):
    """The tensors of a checkpoint, each read from its file when it is asked for.

    `shapes` and `dtypes` (as safetensors writes them: `F32`, `BF16`) are known beforehand.
    """

    files: Mapping[str, Path]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    _open: dict[Path, Any] = field(default_factory=dict[Path, Any], repr=False)

    @property
    def dtype(self) -> str:
        """Return what most of the tensors are of: `float32`, `bfloat16`."""
        counts = Counter(self.dtypes.values())
        return NAMES.get(max(counts, key=counts.__getitem__, default="F32"), "integers")

    def count(self, name: str) -> int:
        """Return how many numbers a tensor has."""
        return prod(self.shapes[name])

    def __getitem__(self, name: str) -> Tensor:
        path = self.files[name]
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt")
        return self._open[path].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def tensors(path: Path) -> tuple[Tensors | None, list[Diagnostic]]:
    """Open the tensors of a checkpoint's folder, or of one file; what cannot be read is a diagnostic."""
    if path.is_file():
        return _read([path])
    if not path.is_dir():
        return None, [Diagnostic("R721", f"there is no folder `{path}`", help="name the folder of a checkpoint")]
    if (path / ALONE).is_file():
        return _read([path / ALONE])
    if (path / INDEX).is_file():
        return _shards(path)
    found = sorted(path.glob("*.safetensors"))
    if not found:
        return None, [Diagnostic("R721", f"`{path}` holds no `*.safetensors` file", help=_instead(path))]
    return _read(found)


def _instead(path: Path) -> str:
    if any(path.glob("*.bin")) or any(path.glob("*.pt*")):
        return "its `.bin` and `.pt` files are pickles, which may run code: save the model as safetensors first"
    return "a checkpoint has its tensors in `model.safetensors`, or in several such files"


def _shards(folder: Path) -> tuple[Tensors | None, list[Diagnostic]]:
    """Open the files that an index names, which must be beside it."""
    index, problems = read(folder / INDEX)
    if index is None:
        return None, problems
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(each, str) for each in named.values()):
        return None, [_broken(folder / INDEX, "`weight_map` does not name a file for each tensor")]
    files = sorted(set(named.values()))
    odd = [name for name in files if Path(name).name != name or not name.endswith(".safetensors")]
    if odd:
        return None, [_broken(folder / INDEX, f"`{odd[0][:80]}` is not the name of a file beside it")]
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        message = f"`{folder / missing[0]}` is missing"
        return None, [Diagnostic("R721", message, help=f"`{INDEX}` names {len(files)} files, each with tensors")]
    opened, problems = _read([folder / name for name in files])
    lost = sorted(named.keys() - opened.files.keys()) if opened else []
    if lost:
        return None, [_broken(folder / INDEX, f"`{lost[0]}` is not in `{named[lost[0]]}`")]
    return opened, problems


def _read(paths: list[Path]) -> tuple[Tensors | None, list[Diagnostic]]:
    files: dict[str, Path] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  (no mapping)
                    if name in files:
                        return None, [_broken(path, f"`{name}` is in `{files[name].name}` too")]
                    part = file.get_slice(name)
                    files[name], shapes[name], dtypes[name] = path, tuple(part.get_shape()), part.get_dtype()
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            return None, [_broken(path, str(error).splitlines()[0][:200])]
    return Tensors(files, shapes, dtypes), []


def read(path: Path) -> tuple[dict[str, Any] | None, list[Diagnostic]]:
    """Read a JSON file that holds one mapping."""
    if not path.is_file():
        return None, [Diagnostic("R721", f"`{path}` is missing")]
    if path.stat().st_size > LARGEST:
        return None, [_broken(path, f"it has more than {LARGEST >> 20} MiB")]
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return None, [_broken(path, str(error).splitlines()[0][:200])]
    if not isinstance(found, dict):
        return None, [_broken(path, "it holds no mapping")]
    return found, []


def _broken(path: Path, why: str) -> Diagnostic:
    return Diagnostic("R722", f"`{path}` cannot be read: {why}")
