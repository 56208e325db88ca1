"""Conversations become prompts and answers; a broken one is told."""

from __future__ import annotations

import json
from pathlib import Path

from tfdsl import settings, tokens
from tfdsl.data import chat, prepare
from tfdsl.data.table import Ragged
from tfdsl.data.wanted import Field, Wanted

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "Hi."},
]


def test_the_answer_is_what_the_assistant_said_last() -> None:
    assert chat.told(TALK) == ("system: Be brief.\nuser: Hello?\nassistant: ", "Hi.")
    assert chat.told(TALK[:2]) == "ends with a message of `user`: the last one must be the `assistant`'s"
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
