"""The floor under the behaviour: bag of words with logistic regression, on the same tweets and phrases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from assistant.text.clean import clean
from scripts.behaviour.reading import Said
from scripts.text.data import SENTIMENT, SENTIMENTS, train_sets

FILE = "behaviour_floor.joblib"


class Floor:
    """Probabilities of sentiments from single words and pairs of words."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, texts: Sequence[str]) -> list[Said]:
        if not texts:
            return []
        found = self._pipeline.predict_proba([clean(text) for text in texts])
        assert list(self._pipeline.classes_) == list(range(len(SENTIMENTS)))
        return [Said((float(row[0]), float(row[1]), float(row[2]))) for row in found]


def open_floor(data: Path, work: Path) -> Floor:
    """Fit it (minutes), or take the one that was kept in the working folder."""
    file = work / FILE
    if not file.exists():
        print("fitting the bag of words (minutes)", flush=True)
        work.mkdir(parents=True, exist_ok=True)
        sets = train_sets(data)
        texts, classes = [], []
        for name in ("semeval2017_task4a", "sst2"):
            texts += sets[name].texts
            # SST-2 has no neutral phrases, and NaN in that column.
            classes += list((sets[name].targets[:, SENTIMENT] == 1).argmax(1))
        bag = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        fitted = make_pipeline(bag, LogisticRegression(C=4, max_iter=1000, class_weight="balanced"))
        joblib.dump(fitted.fit(texts, classes), file)
    return Floor(joblib.load(file))
