"""talk: a conversation, in the form in which models are trained on `messages`, its beginning read once."""

from __future__ import annotations

from dataclasses import replace

from tfdsl import settings
from tfdsl.data import chat
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling.begin import Author, begin
from tfdsl.sampling.generation import Generation
from tfdsl.sampling.kept import Kept

USER = "user"
GROWTH = 2048  # positions that a conversation may grow to before it is read anew, where the model has no limit


class Talk:
    """A conversation with a model: lines of the user, and the model's answers.

    An answer ends where the model ends it, or where it would speak for the user. A conversation that is longer than the
    context loses its beginning, whole messages at a time. `notes` say how the model is run, and `said` what is to be
    told before the first line: an error there holds for every line. A note is told once.
    """

    def __init__(self, author: Author, chosen: settings.Sample) -> None:
        known = [each for each in (author.limit, chosen.context or author.trained) if each is not None]
        self.context = min(known, default=None)
        made = author.hasten(chosen, 1, False) if author.hasten is not None else None
        opener, self.notes = (author.open, ()) if made is None else (made.open, made.notes)
        self.kept = Kept(opener, self.context or GROWTH)
        self.author = replace(author, open=self.kept, hasten=None)
        self.chosen = chosen.model_copy(update={"stop": (*chosen.stop, f"\n{USER}:")})
        self.messages: list[dict[str, str]] = []
        self.said = self._fit()
        self._told = {each.code for each in self.said}

    def answer(self, line: str) -> tuple[Generation | None, list[Diagnostic]]:
        """Return the answer to a line, to be drawn and then `heard`; or what is wrong with the line."""
        self.messages.append({"role": USER, "content": line})
        while len(self.messages) > 1 and self._long():
            del self.messages[:2]
        generation, found = begin(self.author, self.chosen, [chat.asked(self.messages)])
        if generation is None:
            self.messages.pop()
        fresh = [each for each in found if each.severity == "error" or each.code not in self._told]
        self._told |= {each.code for each in fresh}
        return generation, fresh

    def _fit(self) -> list[Diagnostic]:
        """Return what there is to say of the model and the settings, whatever the lines are."""
        if self.author.sources is not None:
            message = "a conversation goes on from what was said, and this model writes a text for a source"
            return [Diagnostic("R843", message, label="no conversation", help="ask it with `--prompt` or `--prompts`")]
        said = begin(self.author, self.chosen, [])[1]
        return [each for each in said if each.code != "I671"]  # that hangs on how much was said

    def heard(self, text: str) -> None:
        """Take an answer into the conversation."""
        self.messages.append({"role": chat.ANSWERER, "content": text})

    def broken(self, text: str) -> None:
        """Take in what there is of an answer that was stopped; without any, the line was not said.

        What was read is forgotten: a layer may have read a token that the next one has not.
        """
        self.kept.forget()
        if self.messages and self.messages[-1]["role"] == USER:
            if text:
                self.heard(text)
            else:
                self.messages.pop()

    def _long(self) -> bool:
        """Return whether the conversation leaves no room for an answer."""
        tokenizer = self.author.tokenizer
        if tokenizer is None or self.context is None:
            return False
        room = max(1, self.context - min(self.chosen.length, self.context // 4))
        return len(chat.encoded(tokenizer, chat.asked(self.messages))) > room
