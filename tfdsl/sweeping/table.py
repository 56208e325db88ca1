"""The table of a sweep: for the terminal, and as CSV (a row a run), JSON and Markdown (a row a combination)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from tfdsl import disk
from tfdsl.sweeping.grid import shorts
from tfdsl.sweeping.results import Row, figures, groups, large

NAMES = ("results.csv", "results.json", "results.md")


def write(rows: Sequence[Row], folder: Path, title: str) -> list[Path]:
    """Write the table in every form into `folder`, each file whole or as it was."""
    texts = (_csv(rows), _json(rows), f"# {title}\n\n{_markdown(rows)}\n")
    for name, text in zip(NAMES, texts, strict=True):
        disk.write(folder / name, text)
    return [folder / name for name in NAMES]


def text(rows: Sequence[Row]) -> str:
    """Return the table as the terminal shows it, with the reasons of what failed below."""
    head, body = _cells(rows)
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *body)
    ]
    lines.insert(1, "─" * (sum(widths) + 2 * (len(widths) - 1)))
    failed = [f"{row.name}: {row.reason or 'ended without a word'}" for row in rows if row.status == "failed"]
    return "\n".join([*lines, *(["", *failed] if failed else [])])


def _cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the lines of the table by combination; the best held-out loss is marked with a `*`."""
    told, found = figures(rows), groups(rows)
    varied = list(found[0].values) if found else []
    short = shorts(varied)
    means = [group.mean("loss") for group in found]
    best = min((each.mean for each in means if each is not None), default=None)
    head = [*(short[name] for name in varied), "parameters", "FLOPs an example", *told, "time", "runs", ""]
    body: list[list[str]] = []
    for group, loss in zip(found, means, strict=True):
        mark = "*" if best is not None and loss is not None and loss.mean == best and len(found) > 1 else ""
        seconds = group.seconds
        body.append(
            [
                *group.values.values(),
                f"{group.rows[0].parameters:,}",
                large(group.rows[0].flops),
                *(str(group.mean(name) or "—") + (mark if name == "loss" else "") for name in told),
                "—" if seconds is None else clock(seconds.mean),
                f"{len(group.done)}",
                group.status,
            ]
        )
    return head, body


def _markdown(rows: Sequence[Row]) -> str:
    head, body = _cells(rows)
    head[-1] = "ended"
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _csv(rows: Sequence[Row]) -> str:
    told = figures(rows)
    varied = list(rows[0].values) if rows else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fixed = ["run", *varied, "seed", "status", "step", "parameters", "flops", "tokens", "seconds"]
    writer.writerow([*fixed, *told, "reason"])
    for row in rows:
        plain = [row.name, *row.values.values(), row.seed, row.status, row.step, row.parameters, row.flops]
        measured = [row.figures.get(name, "") for name in told]
        writer.writerow([*plain, _some(row.tokens), _some(row.seconds), *measured, row.reason])
    return out.getvalue()


def _some(value: float | None) -> float | str:
    return "" if value is None else value


def _json(rows: Sequence[Row]) -> str:
    runs = [
        {
            "run": row.name,
            "values": dict(row.values),
            "seed": row.seed,
            "status": row.status,
            "step": row.step,
            "parameters": row.parameters,
            "flops": row.flops,
            "tokens": row.tokens,
            "seconds": row.seconds,
            "figures": dict(row.figures),
            "reason": row.reason,
        }
        for row in rows
    ]
    combined = [
        {
            "values": dict(group.values),
            "runs": [row.name for row in group.rows],
            "figures": {
                name: {"mean": found.mean, "deviation": found.deviation, "count": found.count}
                for name in figures(rows)
                if (found := group.mean(name)) is not None
            },
        }
        for group in groups(rows)
    ]
    return json.dumps({"runs": runs, "combinations": combined}, indent=1) + "\n"


def clock(seconds: float) -> str:
    """Return a duration as `1:05` or `2:03:04`."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
