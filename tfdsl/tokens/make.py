"""Make a tokenizer: trained on documents, with the marks that an objective wants, or loaded from a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tfdsl import settings
from tfdsl.tokens.marks import END, EXTRA, FIRST, MASK, PAD, SEPARATOR, START, UNKNOWN
from tfdsl.tokens.pieces import byte_letters

MARKS = {"pad": PAD, "start": START, "end": END, "mask": MASK, "first": FIRST, "separator": SEPARATOR}


def make(
    chosen: settings.Tokenizer,
    documents: Iterable[str],
    vocab: int,
    marks: Sequence[str] = (),
    extras: int = 0,
    pad: int | None = None,
) -> Tokenizer:
    """Return the tokenizer that the settings choose, trained on `documents`; `vocab` is the model's token count.

    It has the `marks` by name, `extras` numbered ones, and a pad where `pad` says which token that must be. With none
    of these the tokens of `bytes` are the bytes. Raises ValueError where `file` cannot be read as a tokenizer.
    """
    if chosen.file is not None:
        return opened(Path(chosen.file))
    names = ["pad"] if pad is not None and "pad" not in marks else []
    wanted = [*(MARKS[name] for name in (*names, *marks)), *map(EXTRA.format, range(extras))]
    size = chosen.vocab_size or vocab
    if chosen.type == "bytes":
        tokenizer = _fixed(byte_letters(), wanted)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
    elif chosen.type == "characters":
        tokenizer = _fixed(sorted(set().union(*documents)), wanted)
        tokenizer.decoder = decoders.Fuse()
    else:
        tokenizer = _trained(chosen, documents, size, [mark for mark in wanted if mark != END])
    return tokenizer if pad is None else _placed(tokenizer, PAD, pad)


def opened(path: Path) -> Tokenizer:
    """Return the tokenizer in a `tokenizer.json`; raises ValueError where it is none."""
    try:
        return plain(Tokenizer.from_str(path.read_text(encoding="utf-8")))
    except Exception as error:  # the library raises Exception itself
        raise ValueError(str(error)) from None


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer that neither cuts nor fills what it is given: a file may carry settings that do."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _fixed(pieces: Sequence[str], marks: Sequence[str]) -> Tokenizer:
    """Return a tokenizer of single pieces, the marks behind them."""
    held = [mark for mark in marks if mark not in pieces]
    tokenizer = Tokenizer(models.BPE({piece: token for token, piece in enumerate([*pieces, *held])}, []))
    tokenizer.add_special_tokens(_special(held))
    return tokenizer


def _trained(chosen: settings.Tokenizer, documents: Iterable[str], size: int, marks: Sequence[str]) -> Tokenizer:
    """Train byte-level byte-pair encoding (Sennrich et al., 2016), or one of the kinds that part text into words."""
    if chosen.type == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer = _worded(chosen.type)
    if chosen.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.train_from_iterator(documents, _trainer(chosen.type, size, marks))
    return tokenizer


def _worded(kind: str) -> Tokenizer:
    """Return an untrained tokenizer of WordPiece (Schuster and Nakajima, 2012), Unigram (Kudo, 2018) or whole words."""
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        return tokenizer
    model = models.WordPiece(unk_token=UNKNOWN) if kind == "wordpiece" else models.WordLevel(unk_token=UNKNOWN)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return tokenizer


def _trainer(kind: str, size: int, marks: Sequence[str]) -> Any:
    if kind == "bpe":
        alphabet = sorted(byte_letters())
        special = [END, *marks]
        return trainers.BpeTrainer(
            vocab_size=size, special_tokens=_special(special), initial_alphabet=alphabet, show_progress=False
        )
    special = _special([UNKNOWN, END, *marks])
    if kind == "unigram":
        return trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token=UNKNOWN, show_progress=False)
    if kind == "wordpiece":
        return trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    return trainers.WordLevelTrainer(vocab_size=size, special_tokens=special, show_progress=False)


def _special(marks: Sequence[str]) -> list[str | AddedToken]:
    return [AddedToken(mark, special=True, normalized=False) for mark in marks]


def _placed(tokenizer: Tokenizer, piece: str, token: int) -> Tokenizer:
    """Return the tokenizer with `piece` at the number `token`; what stood there takes the place of `piece`."""
    text = json.loads(tokenizer.to_str())
    vocab, old = text["model"]["vocab"], tokenizer.token_to_id(piece)
    if old == token or old is None:
        return tokenizer
    if isinstance(vocab, list):  # unigram: the place in the list is the token
        vocab += [[f"<|unused_{place}|>", -100.0] for place in range(len(vocab), token + 1)]
        vocab[old], vocab[token] = vocab[token], vocab[old]
        if text["model"]["unk_id"] in (old, token):
            text["model"]["unk_id"] = old + token - text["model"]["unk_id"]
    else:
        other = tokenizer.id_to_token(token)
        vocab[piece] = token
        if other is not None:
            vocab[other] = old
    for added in text["added_tokens"]:
        added["id"] = {old: token, token: old}.get(added["id"], added["id"])
    text["added_tokens"].sort(key=lambda added: added["id"])
    return Tokenizer.from_str(json.dumps(text))
