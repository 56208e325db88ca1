"""What words alone tell of the examples that a run of `modules` held out: `python baseline.py runs/modules`."""

import sys
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from tfdsl.data import prepare


def main(folder: Path) -> None:
    """Print accuracy and F1 of a bag of words with logistic regression, fitted to the run's training examples."""
    data = prepare.reopen(folder / "data")
    assert data.tokenizer is not None
    words = CountVectorizer(token_pattern=r"\w+", binary=True)
    columns = {
        part: ([data.tokenizer.decode(text[at].tolist()) for at in range(len(text))], table.columns["label"].values)
        for part, table in (("train", data.train), ("held_out", data.held_out))
        for text in (table.columns["text"],)
    }
    train, labels = columns["train"]
    fitted = LogisticRegression(max_iter=1000).fit(words.fit_transform(train), labels)
    held_out, truth = columns["held_out"]
    said = fitted.predict(words.transform(held_out))
    print(f"accuracy: {accuracy_score(truth, said):.3f}\nF1: {f1_score(truth, said, average='macro'):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
