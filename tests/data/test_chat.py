"""Conversations become prompts and answers; a broken one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, processors

from tfdsl import settings, tokens
from tfdsl.data import chat, prepare
from tfdsl.data.table import Ragged
from tfdsl.data.wanted import Field, Wanted
from tfdsl.training import answers
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.objectives import next_token

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "Hi."},
]


def test_the_answer_is_what_the_assistant_said_last() -> None:
    assert chat.told(TALK) == ("system: Be brief.\nuser: Hello?\nassistant: ", "Hi.", ())
    assert chat.told(TALK[:2]) == "ends with a message of `user`: the last one must be the `assistant`'s"
    empty = [*TALK[:2], {"role": "assistant", "content": " "}, *TALK[1:]]
    assert chat.told(empty) == "has nothing in message 3, which is the `assistant`'s: there is no answer to learn"
    assert chat.told([TALK[0], TALK[2]]) == "has no message that the `assistant` answers, such as the `user`'s"
    assert chat.told([]) == "is no list of messages"
    assert chat.told([{"role": "user"}]) == "has a message that is not `{role: text, content: text}`"


def test_a_file_of_conversations_is_read(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text((json.dumps({"messages": TALK}) + "\n") * 10)
    wanted = Wanted(((Field("text"),), (Field("prompt"), Field("answer"))), whole=True)
    data = settings.Data.read({"source": str(path)})
    made, problems = prepare.prepare(data, settings.Tokenizer(), wanted, 256, folder=tmp_path / "data")
    assert made is not None, problems
    assert made.tokenizer is not None
    column = made.train.columns["prompt"]
    assert isinstance(column, Ragged)
    assert made.tokenizer.decode(column[0].tolist()) == "system: Be brief.\nuser: Hello?\nassistant: "
    assert tokens.marks(made.tokenizer).end is None


def test_a_broken_conversation_is_told(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text(json.dumps({"messages": TALK}) + "\n" + json.dumps({"messages": TALK[:2]}) + "\n")
    wanted = Wanted(((Field("prompt"), Field("answer")),))
    data = settings.Data.read({"source": str(path)})
    made, problems = prepare.prepare(data, settings.Tokenizer(), wanted, 256, folder=tmp_path / "data")
    assert made is None
    assert [each.code for _, each in problems] == ["R743"]


LONG = [
    *TALK,
    {"role": "user", "content": "And\nthen?\nassistant: no"},
    {"role": "assistant", "content": "user: "},
    {"role": "user", "content": "Bye."},
    {"role": "assistant", "content": "Ça va.\n"},
]


@pytest.mark.parametrize("kind", ["bytes", "bpe", "words", "bos"])
def test_every_answer_is_learned_and_nothing_else(tmp_path: Path, kind: str) -> None:
    """The targets of a conversation are its answers, each with its end; the row is read as the sampler writes it."""
    path = tmp_path / "talk.jsonl"
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in (LONG, TALK, LONG)))
    earlier = Field(chat.EARLIER, "turns", optional=True, of="prompt")
    wanted = Wanted(((Field("prompt", begins=True), Field("answer"), earlier),), ("end",))
    chosen: dict[str, Any] = {"type": "bytes" if kind == "bos" else kind}
    chosen |= {"vocab_size": 300} if kind == "bpe" else {}
    if kind == "bos":
        (tmp_path / "loaded.json").write_text(with_a_mark_before().to_str())
        chosen = {"file": str(tmp_path / "loaded.json")}
    data = settings.Data.read({"source": str(path), "held_out": 0.4})
    made, problems = prepare.prepare(data, settings.Tokenizer.read(chosen), wanted, 400, folder=tmp_path / "data")
    assert made is not None, problems
    assert made.tokenizer is not None
    end = tokens.marks(made.tokenizer).end
    assert end is not None
    table = next(each for each in (made.train, made.held_out) if len(answers.turns(each, 0)))
    (read_T,), _, (told_T,) = answers.Answers(end, 0).rows(table, [0], "answer")
    row = read_T.tolist()
    found: list[list[int]] = []
    for place, token in enumerate(told_T.tolist()):
        if token == IGNORED:
            continue
        if not found or found[-1][-1] == end:  # the sampler asks for an answer with the very tokens before it
            asked = chat.encoded(made.tokenizer, chat.asked(LONG[: (2, 4, 6)[len(found)]]))
            assert row[: place + 1] == asked
            found.append([])
        found[-1].append(token)
    said = [made.tokenizer.encode(LONG[at]["content"], add_special_tokens=False).ids for at in (2, 4, 6)]
    assert found == [[*each, end] for each in said]
    if kind in ("bytes", "bpe"):
        assert made.tokenizer.decode(row) == str(chat.asked(LONG[:6])) + "Ça va.\n"


def with_a_mark_before() -> Tokenizer:
    """Return a tokenizer that begins a text with a mark, as Llama's does."""
    made = tokens.make(settings.Tokenizer(), [], 300, ("start", "end"))
    start = tokens.marks(made).start
    assert start is not None
    name = made.id_to_token(start)
    made.post_processor = processors.TemplateProcessing(single=f"{name} $A", special_tokens=[(name, start)])
    return made


def test_bits_a_byte_are_of_all_answers(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text((json.dumps({"messages": LONG}) + "\n") * 3)
    task = next_token.NextToken(*[None] * 3)  # type: ignore[arg-type]
    data = settings.Data.read(str(path))
    made, _ = prepare.prepare(data, settings.Tokenizer(), task.wanted, 300, folder=tmp_path / "data")
    assert made is not None and made.tokenizer is not None
    assert answers.bytes_a_token(made.held_out, "answer", made.tokenizer) == 1.0
