"""tfdsl score: measure how likely texts are to a model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfdsl.cli import options
from tfdsl.cli.asked import is_file, is_folder, lines, opened, show, sound, whole
from tfdsl.cli.output import Stop, refuse, remark, say

if TYPE_CHECKING:
    from tfdsl.reading.score import Scored
    from tfdsl.reading.trained import Trained
    from tfdsl.run import Run

JSON = (".jsonl", ".ndjson")
Asked = tuple[str, str | tuple[str, str]]


@click.command()
@click.argument("folder", metavar="RUN")
@click.argument("given", metavar="[TEXT|FILE]...", nargs=-1)
@click.option("--held-out", is_flag=True, help="Measure what the run held out, as training does.")
@click.option("--window", type=click.IntRange(min=1), help="Tokens that are read at once. [default: as trained]")
@click.option("--stride", type=click.IntRange(min=1), help="Tokens from a window to the next. [default: the window]")
@click.option(
    "--weights",
    type=click.Choice(("float32", "bfloat16", "int8")),
    default="float32",
    show_default=True,
    help="What linear maps round their weights to, as `tfdsl sample --weights` does.",
)
@click.option("--tokens", is_flag=True, help="Show each token with how unlikely it was.")
@options.as_json
@options.last
def command(
    folder: str,
    given: tuple[str, ...],
    held_out: bool,
    window: int | None,
    stride: int | None,
    weights: Any,
    tokens: bool,
    as_json: bool,
    last: bool,
) -> int:
    """Measure how likely each TEXT is to a RUN's model: nats a token, bits a byte, perplexity.

    A name of a file stands for its text; one of JSON lines holds a `text` a line, or for a model of text to text a
    `source` and a `target`, of which the target counts. `-` is standard input. A token counts once, with all that its
    window holds before it; all tokens of all texts weigh alike. A model of masked words tells how likely each token is
    by all others, each masked in turn: its pseudo-perplexity.
    """
    run = opened(folder, last)
    if weights != "float32":
        remark(run.models().form(weights, False).note)
    if held_out:
        if given or window or stride or tokens:
            refuse("--held-out measures the run's own examples as training does, and nothing else is said of it")
        return _held_out(run, weights, as_json)
    trained = run.trained(weights)
    read = [_read(trained, name) for name in given or ("-",)]
    asked, well = [each for found, _ in read for each in found], all(whole for _, whole in read)
    if not asked and well:
        refuse("there is no text to score")
    if not asked:
        raise Stop(code=1)
    from tfdsl.reading import score

    texts: list[Any] = [each for _, each in asked]
    found, said = score.score(trained, texts, window=window, stride=stride, names=[name for name, _ in asked])
    well = sound(said) and well
    for each in found:
        say(_json(trained, each, tokens, weights) if as_json else _line(each))
        if tokens and not as_json:
            for line in _tokens(trained, each):
                say(line)
    if len(found) > 1 and not as_json:
        say(_line(score.total(found, f"all {len(found):,}")))
    return 0 if well else 1


def _read(trained: Trained, name: str) -> tuple[list[Asked], bool]:
    """Return the texts, or the pairs, that a word on the command line stands for, by their names.

    Beside them stands whether all that it names could be read.
    """
    if len(trained.signature.texts()) > 1:
        if Path(name).suffix not in JSON:
            refuse("the model writes a target for a source: name a file of JSON lines with `source` and `target`")
        pairs, whole_ = lines(name, ("source", "target"))
        return [(f"{source} → {target}", (source, target)) for source, target in pairs], whole_
    if Path(name).suffix in JSON and is_file(name):
        texts, whole_ = lines(name, ("text",))
        return [(text, text) for (text,) in texts], whole_
    if name == "-" or is_file(name):
        return [(name, _held(name))], True
    if not name:
        refuse("the text is empty: give one, a file, or some on standard input")
    if is_folder(name):
        refuse(f"`{name}` is a folder: name a file in it")
    if Path(name).suffix and not any(letter.isspace() for letter in name):
        remark(f"there is no file `{name}`, so these words themselves are scored")
    return [(name, name)], True


def _held(name: str) -> str:
    """Return the text of a file or of standard input; end the command where there is none."""
    text = whole(name)
    if not text:
        refuse(f"{'standard input' if name == '-' else f'`{name}`'} holds no text")
    return text


def _line(each: Scored) -> str:
    name = " ".join(each.name.split())
    name = name if len(name) <= 40 else name[:39] + "…"
    if not each.count:
        why = "its first token is its only one" if each.tokens else "it has no token"
        return f"nothing to score: {why}  {name}"
    bits = "" if each.pseudo else f"{each.bits_a_byte:7.4f} bits a byte  "
    figure = f"{'pseudo-' if each.pseudo else ''}perplexity {each.perplexity:10,.3f}"
    many = "token" if each.count == 1 else "tokens"
    return f"{each.loss:8.4f} nats a token  {bits}{figure}  {each.count:8,} {many}  {name}"


def _pieces(trained: Trained) -> list[str]:
    from tfdsl.reading.fill import words

    assert trained.tokenizer is not None, "texts were read"
    return words(trained.tokenizer, max((each.vocab for each in trained.signature.texts()), default=0))


def _tokens(trained: Trained, each: Scored) -> list[str]:
    written = _pieces(trained)
    rows = ["      nats  probability  token"]
    for one in each.tokens:
        if one.nats is None:
            rows.append(f"         -            -  {written[one.token]!r}")
        else:
            rows.append(f"  {one.nats:8.4f}  {math.exp(-one.nats):11.4%}  {written[one.token]!r}")
    return rows


def _json(trained: Trained, each: Scored, tokens: bool, weights: str) -> str:
    told: dict[str, Any] = {"input": each.name, "loss": each.loss if each.count else None}
    if each.pseudo:
        told["pseudo_perplexity"] = each.perplexity if each.count else None
    else:
        told["bits_a_byte"] = each.bits_a_byte if each.count else None
        told["perplexity"] = each.perplexity if each.count else None
    told |= {"nats": each.nats, "tokens": each.count, "bytes": each.bytes, "weights": weights}
    if tokens:
        written = _pieces(trained)
        told["each"] = [{"token": one.token, "text": written[one.token], "nats": one.nats} for one in each.tokens]
    return json.dumps(told, ensure_ascii=False)


def _held_out(run: Run, weights: Any, as_json: bool) -> int:
    from tfdsl.reading.held_out import held_out

    found, said = held_out(run.trained(weights), run.folder)
    show(said)
    assert found is not None, "errors end the command"
    figures = {"loss": found.loss, **found.figures}
    if as_json:
        say(json.dumps({"count": found.count, "weights": weights, **figures}))
    else:
        for name, value in figures.items():
            say(f"{value:12.4f}  {name}")
        say(f"{found.count:12,}  held out")
        say(f"{weights:>12}  weights{_otherwise(run, weights)}")
    return 0


def _otherwise(run: Run, weights: str) -> str:
    """Return in which precision the training measured, where it was not that of float32 weights and products."""
    if weights == "float32" and run.train.precision == "float32":
        return ""
    trained = {"bfloat16_weights": "weights and products in bfloat16", "bfloat16": "products in bfloat16"}
    return f", products in float32; training measured with {trained.get(run.train.precision, 'both in float32')}"
