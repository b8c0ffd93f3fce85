"""Held-out last interactions of MovieLens small: `python -m scripts.bench.movielens FOLDER`.

For each person the newest rating is held out, and every film that they had not rated before is ranked: recall and
NDCG at 10. A fifth of the people, drawn by seed, are new: of them only the first three ratings are known. What the
product serves (declared interests, here the genres of what they rated 4 or more; popularity with time decay; what
people who liked the same liked) stands beside popularity, item-kNN and ALS (`implicit`), from the same run: by its
scores, and as it is drawn. Settings of kNN and ALS, and the product's weights, are chosen on the interactions
before the last (`--development` shows them). Needs scipy and implicit.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from assistant.bootstrap import compute_interval, draw_resamples
from assistant.profile.person import Profile
from assistant.recommend.bandits import Exploration, prior
from assistant.recommend.catalogue import Item
from assistant.recommend.feedback import reward_of
from assistant.recommend.item_table import lay_out
from assistant.recommend.moment import NOWHERE
from assistant.recommend.scoring import POPULARITY_HALF_LIFE_S, Learned, RankingContext, totals, view
from assistant.recommend.slate import Knobs, generator, temperature_of
from assistant.recommend.together import LIKED, LIKES, Like, Neighbours, Together, add_likes

KNOWN_OF_NEW = 3


def read(folder: Path) -> tuple[list[tuple[str, str, float, float]], dict[str, tuple[str, ...]]]:
    with gzip.open(folder / "ratings.csv.gz", "rt") as file:
        ratings = [
            (r["userId"], r["movieId"], float(r["rating"]), float(r["timestamp"])) for r in csv.DictReader(file)
        ]
    with gzip.open(folder / "movies.csv.gz", "rt") as file:
        genres = {r["movieId"]: tuple(r["genres"].split("|")) for r in csv.DictReader(file)}
    return sorted(ratings, key=lambda r: r[3]), genres


def measure(scores: np.ndarray, known: sp.csr_matrix, held: np.ndarray, people: np.ndarray) -> np.ndarray:
    """[people, 2]: recall and NDCG at 10; one item is relevant. Ties count against it."""
    found = np.zeros((len(people), 2))
    for at, person in enumerate(people):
        own = scores[person].copy()
        own[known[person].indices] = -np.inf
        place = int((own >= own[held[person]]).sum())
        if place <= 10:
            found[at] = 1.0, 1 / np.log2(place + 1)
    return found


def interval(values: np.ndarray) -> str:
    resamples = draw_resamples(len(values), 2000, np.random.default_rng(0))
    low, high = compute_interval(np.concatenate([values[picks].mean(axis=1) for picks in resamples]))
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def knn(known: sp.csr_matrix, shrink: float) -> np.ndarray:
    """Cosine between items, shrunk: co-ratings over (norms + shrink)."""
    together = (known.T @ known).toarray().astype(np.float64)
    norms = np.sqrt(together.diagonal())
    np.fill_diagonal(together, 0.0)
    return known @ (together / (np.outer(norms, norms) + shrink))


def als(known: sp.csr_matrix, factors: int, regularization: float) -> np.ndarray:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, iterations=15, random_state=0, num_threads=1
    )
    model.fit(known, show_progress=False)
    return model.user_factors @ model.item_factors.T


class Served:
    """What the product learns from the known ratings, as rewards of the kind `rating`, in their order."""

    def __init__(
        self,
        seen: dict[int, list[tuple[int, float, float]]],
        genres: Mapping[str, tuple[str, ...]],
        films: list[str],
    ) -> None:
        self.table = lay_out([Item(film, film, "film", tags=genres[film]) for film in films])
        self.latest: dict[int, tuple[str, ...]] = {}
        self.told: dict[int, tuple[str, ...]] = {}
        self.rewards: dict[int, list[tuple[float, float]]] = {}
        likes = []
        rated = sorted((at, person, film, r) for person, rows in seen.items() for film, r, at in rows)
        for at, person, film, rating in rated:
            worth = reward_of("rating", max(1.0, rating))
            if worth > 0:
                self.rewards.setdefault(film, []).append((at, worth))
            if worth >= LIKED:
                before = self.latest.get(person, ())
                likes.append(Like(films[film], before))
                self.latest[person] = (films[film], *before)[:LIKES]
        for person, rows in seen.items():
            told = Counter(genre for film, rating, _ in rows if rating >= 4 for genre in genres[films[film]])
            self.told[person] = tuple(genre for genre, count in told.most_common(3))
        self.neighbours = Neighbours(add_likes(Together(), likes), self.table)

    def scores(
        self,
        ends: np.ndarray,
        *,
        declared: bool = True,
        taste: bool = True,
        long: float = 52.0,
        drawn: Knobs | None = None,
    ) -> np.ndarray:
        """[people, films] at the moment of what is held out, or with the luck of the draw added.

        `long`: popularity fades over years here, not weeks: times the product's half-life.
        """
        rows = np.arange(len(self.table.items))
        popular = np.array(sorted(self.rewards))
        starts = np.cumsum([0, *(len(self.rewards[film]) for film in popular[:-1])])
        times, worths = np.array([reward for film in popular for reward in self.rewards[film]]).T
        found = np.zeros((len(ends), len(rows)))
        for person, now in enumerate(ends):
            faded = np.exp2(-np.maximum(now - times, 0.0) / (long * POPULARITY_HALF_LIFE_S))
            mass = np.add.reduceat(worths * (times < now) * faded, starts)
            profile = Profile(interests=self.told.get(person, ()) if declared else ())
            learned = Learned(prior(), Exploration(width=0.0), popular, mass, at=now, neighbours=self.neighbours)
            likes = self.latest.get(person, ()) if taste else ()
            who = RankingContext(profile, None, NOWHERE, now, learned, "s", likes=likes)
            own = totals(view(self.table, rows, who), who)
            if drawn is not None:
                luck = -np.log(generator(f"{person}").standard_exponential(len(rows)))
                own = own / temperature_of(own, drawn) + luck
            found[person] = own
        return found


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--development", action="store_true", help="hold out the interaction before the last")
    args = parser.parse_args()
    ratings, genres = read(args.folder)
    people = sorted({r[0] for r in ratings})
    films = sorted({r[1] for r in ratings})
    person_of, film_of = ({name: n for n, name in enumerate(names)} for names in (people, films))
    own: dict[int, list[tuple[int, float, float]]] = {}
    for name, title, rating, at in ratings:
        own.setdefault(person_of[name], []).append((film_of[title], rating, at))
    new = np.random.default_rng(0).random(len(people)) < 0.2
    when: dict[tuple[int, int], float] = {}
    dev_when: dict[tuple[int, int], float] = {}
    rated: dict[int, list[tuple[int, float, float]]] = {}
    held, dev, ends = (np.zeros(len(people), dtype=np.int64) for _ in range(3))
    for person, rows in own.items():
        if args.development:
            rows = rows[:-1]
        held[person], _, ends[person] = rows[-1]
        seen = rated[person] = rows[:KNOWN_OF_NEW] if new[person] else rows[:-1]
        for film, _, at in seen:
            when[person, film] = at
        dev[person] = seen[-1][0]
        for film, _, at in seen[:-1]:
            dev_when[person, film] = at

    def matrix(pairs: dict[tuple[int, int], float]) -> sp.csr_matrix:
        users, items = np.array(list(pairs)).T
        return sp.csr_matrix((np.ones(len(pairs), dtype=np.float32), (users, items)), (len(people), len(films)))

    known, before = matrix(when), matrix(dev_when)
    everybody = np.arange(len(people))
    choose = everybody[~new]

    def best(options: list[tuple[float, ...]], make: Callable[..., np.ndarray]) -> tuple[Any, ...]:
        return max(options, key=lambda o: measure(make(before, *o), before, dev, choose)[:, 1].mean())

    shrink = best([(s,) for s in (1.0, 10.0, 50.0, 100.0)], knn)
    factors = best([(f, r) for f in (16, 32, 64) for r in (0.1, 1.0, 10.0)], als)
    popularity = np.tile(np.asarray(known.sum(axis=0)).ravel(), (len(people), 1))
    models = {
        "popularity": popularity,
        f"item-kNN (shrink {shrink[0]:g})": knn(known, *shrink),
        f"ALS ({factors[0]} factors, {factors[1]:g})": als(known, *factors),
    }
    product = Served(rated, genres, films)
    models |= {
        "served": product.scores(ends),
        "served, no interests told": product.scores(ends, declared=False),
        "served, tastes unused": product.scores(ends, taste=False),
        "neither": product.scores(ends, declared=False, taste=False),
        "served, half-life 7 days": product.scores(ends, long=1.0),
        "drawn as by default": product.scores(ends, drawn=Knobs()),
        "drawn, budget .02": product.scores(ends, drawn=Knobs(exploration_budget=0.02)),
    }
    print(f"{len(people)} people, {new.sum()} of them new; {len(films)} films; {known.nnz} known ratings")
    for name, which in (("known people", ~new), ("new people", new)):
        print(name)
        for model, scores in models.items():
            found = measure(scores, known, held, everybody[which])
            print(f"  {model:<26} recall@10 {interval(found[:, 0])}   NDCG@10 {interval(found[:, 1])}")


if __name__ == "__main__":
    main()
