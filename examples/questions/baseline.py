"""What shared words tell of the questions that a run of `questions` held out: `python baseline.py runs/questions`.

Every training answer that stands in the passage is a candidate, and the one whose sentence shares most words with the
question is said (Richardson et al., 2013), one of several by lot. The second way leaves out what never answered a
training question of the same first word.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from tfdsl.data import prepare
from tfdsl.data.table import Table

Words = tuple[int, ...]


def main(folder: Path) -> None:
    """Print the exact match of both ways to choose, over all that is held out."""
    data = prepare.reopen(folder / "data")
    assert data.tokenizer is not None
    stop = data.tokenizer.token_to_id(".")
    assert stop is not None, "every sentence ends with it"
    fitting: dict[int, set[Words]] = defaultdict(set)  # of the word that a question begins with
    for question, _, answer in rows(data.train):
        fitting[question[0]].add(answer)
    every = set[Words]().union(*fitting.values())
    draw = np.random.default_rng(0)
    right = np.zeros(2)
    for question, passage, answer in rows(data.held_out):
        for way, known in enumerate((every, fitting[question[0]])):
            found = candidates(question, passage, known, stop)
            best = [said for score, said in found if score == max(score for score, _ in found)]
            right[way] += best[int(draw.integers(len(best)))] == answer
    words, begun = right / len(data.held_out)
    print(f"exact match, words shared: {words:.3f}\nexact match, and the first word of the question: {begun:.3f}")


def rows(table: Table) -> list[tuple[Words, Words, Words]]:
    """Return the question, the passage and the answer of each example."""
    found: list[tuple[Words, Words, Words]] = []
    for at in range(len(table)):
        question, passage = (tuple(table.columns[each][at].tolist()) for each in ("question", "passage"))
        first, last = table.columns["answer"][at].tolist()
        found.append((question, passage, passage[first : last + 1]))
    return found


def candidates(question: Words, passage: Words, known: set[Words], stop: int) -> list[tuple[int, Words]]:
    """Return the known answers of each sentence, with how many words it shares with the question."""
    found: list[tuple[int, Words]] = []
    begun = 0
    for end in (at for at, word in enumerate(passage) if word == stop):
        sentence = passage[begun:end]
        shared = len(set(sentence) & set(question))
        stretches = {sentence[first : first + long] for first in range(len(sentence)) for long in (1, 2)}
        found += [(shared, said) for said in sorted(stretches & known)]
        begun = end + 1
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
