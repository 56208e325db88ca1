"""Prepare much data: in shards that several processes write, each whole or not there, so that a kill costs one."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path

from tokenizers import Tokenizer

from tfdsl import disk
from tfdsl.data import join, manifest
from tfdsl.data.asked import Asked
from tfdsl.data.fit import Problems
from tfdsl.data.learn import Learnt, gathered, learn
from tfdsl.data.plan import Plan, Seen, look, settled
from tfdsl.data.table import Prepared
from tfdsl.data.write import PARTS, enough, fill, opened
from tfdsl.diagnostics import Diagnostic

SHARD = 1 << 25  # bytes of the source, about
LEARNT = "learnt.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of the source that is trained on, or of the one that is held out, which become the shard in `folder`."""

    folder: Path
    held_out: bool
    first: int
    last: int


def silent(done: int, count: int) -> None:
    """Tell nobody."""


def prepare(
    asked: Asked, folder: Path, workers: int = 1, shard: int = SHARD, report: Progress = silent
) -> tuple[Prepared | None, Problems]:
    """Write what is asked for into `folder` with several processes, or say what stands in the way; or is worth a word.

    What an earlier call that was killed had finished is kept, where nothing that decides the numbers has changed since.
    The tables are the same, byte for byte, for any number of processes. Raises OSError.
    """
    if manifest.holds(Path(asked.data.source)):
        message = f"`{asked.data.source}` is prepared already"
        return None, [("train.data.source", Diagnostic("R749", message, label="nothing to do"))]
    aside, problems = disk.part(folder), []
    if not _whole(aside):
        done, problems = _write(asked, aside, workers, shard, report)
        if not done:
            disk.clear(aside)
            return None, problems
    join.tidy(aside, LEARNT)
    disk.settle(aside, folder)
    return manifest.opened(folder), problems


def _whole(aside: Path) -> bool:
    """Return whether an earlier call was killed when all was written."""
    if not manifest.holds(aside):
        return False
    try:
        manifest.opened(aside)
    except manifest.Damaged:
        disk.clear(aside)
        return False
    return True


def _write(asked: Asked, aside: Path, workers: int, shard: int, report: Progress) -> tuple[bool, Problems]:
    """Write the shards that are missing, then make one of all; return whether all went well, and what is to be told."""
    seen, problems = look(asked)
    if seen is None:
        return False, problems
    learnt, problems = _learnt(asked, seen, aside, shard)
    if learnt is None:
        return False, problems
    plan = settled(asked, seen, learnt)
    stretches = _stretches(seen, aside, shard)
    missing = [each for each in stretches if not join.whole(each.folder)]
    for each in missing:
        disk.clear(each.folder)
    done = len(stretches) - len(missing)
    report(done, len(stretches))
    wrong: dict[bool, list[Diagnostic]] = {False: [], True: []}
    for stretch, found in _shards(plan, missing, workers):
        done += 1
        wrong[stretch.held_out] += found
        report(done, len(stretches))
    if any(wrong.values()):
        return False, [*gathered(wrong[False]), *gathered(wrong[True], asked.apart)]
    shards = [join.told(each.folder) for each in stretches]
    problems = enough({part: sum(each.counts[part] for each in shards) for part in PARTS}) or join.fit(shards)
    if problems:
        return False, problems
    manifest.seal(aside, plan, join.join(aside, shards))
    return True, plan.remarks


def _stretches(seen: Seen, aside: Path, shard: int) -> list[Stretch]:
    parts = [(source is seen.held_out, *span) for source in seen.all() for span in source.pieces(shard)]
    return [Stretch(aside / f"{number:06}", *each) for number, each in enumerate(parts)]


def _shards(plan: Plan, missing: Sequence[Stretch], workers: int) -> Iterator[tuple[Stretch, list[Diagnostic]]]:
    """Write shards in this process or in others; yield what is wrong in each."""
    workers = min(workers, len(missing))
    if workers <= 1:
        for stretch in missing:
            yield stretch, _shard(plan, stretch)
        return
    context = multiprocessing.get_context("spawn")  # tokenizers run threads, which a fork would lose
    pool = ProcessPoolExecutor(workers, context, _begin, (plan.asked, plan.learnt))
    try:
        work = {pool.submit(_one, stretch): stretch for stretch in missing}
        for done in as_completed(work):
            yield work[done], done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _shard(plan: Plan, stretch: Stretch) -> list[Diagnostic]:
    """Write one shard; it is there only where nothing is wrong."""
    source = plan.held_out if stretch.held_out else plan.train
    assert source is not None, "a stretch is of a source that is there"
    try:
        with disk.folder(stretch.folder) as aside, opened(plan.work, aside) as tables:
            parts = {"train": tables["held_out"]} if stretch.held_out else tables
            apart = source.apart(plan.work.share) if plan.held_out is None else None
            problems = fill(parts, source, (stretch.first, stretch.last), apart)
            if problems:
                raise _Refused(problems)
            join.tell(aside, tables)
    except _Refused as refused:
        return refused.problems
    return []


class _Refused(Exception):
    """What was written is to be taken away again."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        super().__init__()
        self.problems = problems


_PLANS: list[Plan] = []  # that of a process which writes shards for another


def _begin(asked: Asked, learnt: Learnt) -> None:
    """Make ready a process that writes shards, and let it end with the one that began it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each process is one thread of the work
    threading.Thread(target=_outlive, daemon=True).start()
    seen, _ = look(asked)
    assert seen is not None, "the process that began this one found the sources"
    _PLANS[:] = [settled(asked, seen, learnt)]


def _outlive() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _one(stretch: Stretch) -> list[Diagnostic]:
    return _shard(_PLANS[0], stretch)


def _learnt(asked: Asked, seen: Seen, aside: Path, shard: int) -> tuple[Learnt | None, Problems]:
    """Return what an earlier call learnt, where it was asked for the same; otherwise learn, begin anew and keep it."""
    key = _key(asked, seen, shard)
    kept = _kept(aside, key)
    if kept is not None:
        return kept, []
    disk.clear(aside)
    learnt, problems = learn(asked, seen.chosen, (seen.train, seen.held_out))
    if learnt is not None:
        text = learnt.tokenizer.to_str() if learnt.tokenizer is not None else None
        about = {"made": learnt.made, "labels": learnt.labels, "setting": learnt.setting}
        disk.make(aside)
        disk.write(aside / LEARNT, json.dumps({"key": key, "tokenizer": text, **about}))
    return learnt, problems


def _kept(aside: Path, key: str) -> Learnt | None:
    try:
        content = json.loads((aside / LEARNT).read_text(encoding="utf-8"))
        if content["key"] != key:
            return None
        labels = {name: tuple(names) for name, names in content["labels"].items()}
        return Learnt(_tokenizer(content["tokenizer"]), content["made"], labels, content["setting"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _tokenizer(text: str | None) -> Tokenizer | None:
    """Return the tokenizer that a text tells; raises ValueError."""
    try:
        return None if text is None else Tokenizer.from_str(text)
    except Exception as error:  # the library raises the bare class
        raise ValueError("no tokenizer") from error


def _key(asked: Asked, seen: Seen, shard: int) -> str:
    """Return a sum over all that decides the numbers: what is asked, and the size and the age of each file."""
    files = [path for source in seen.all() for path in source.files()]
    if asked.tokenizer.file is not None:
        files.append(Path(asked.tokenizer.file))
    told = {
        "data": asked.data.model_dump(mode="json"),
        "tokenizer": asked.tokenizer.model_dump(),
        "wanted": asdict(asked.wanted),
        "numbers": [asked.vocab, asked.end, asked.pad, shard],
        "own": None if asked.own is None else asked.own.to_str(),
        "files": [[str(path), *_age(path)] for path in files],
        "counts": [source.count for source in seen.all()],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _age(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns
