"""What TF-IDF finds of the examples that a run of `docstrings` held out: `python baseline.py runs/docstrings`."""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from tfdsl.data import prepare
from tfdsl.training import scores


def main(folder: Path) -> None:
    """Print recall and mean reciprocal rank of words weighed by their rarity in the run's training examples."""
    data = prepare.reopen(folder / "data")
    assert data.tokenizer is not None
    texts = {
        (part, name): [data.tokenizer.decode(row.tolist()) for row in (column[at] for at in range(len(column)))]
        for part, table in (("train", data.train), ("held_out", data.held_out))
        for name, column in table.columns.items()
    }
    words = TfidfVectorizer(token_pattern=r"[A-Za-z]+|[0-9]+", sublinear_tf=True)
    words.fit(texts["train", "query"] + texts["train", "positive"])
    queries, positives = (words.transform(texts["held_out", name]) for name in ("query", "positive"))
    ranks = scores.ranks(torch.from_numpy((queries @ positives.T).toarray()), torch.eye(queries.shape[0]).bool())
    for name, figure in scores.found(scores.retrieval(ranks), len(ranks)).items():
        print(f"{name}: {figure:.3f}")
    print(f"{len(ranks)} queries, {np.unique(words.get_feature_names_out()).size} words")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
