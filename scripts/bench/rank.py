"""How long ranking takes in process: `python -m scripts.bench.rank [--items 1000 100000]`.

One thread, one core; every request has another seed, time and mood. Prints p50 and p99 in milliseconds: of the
clock, and of the processor, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np

from assistant.emotion import Estimate, Mood
from assistant.profile.person import Profile
from assistant.recommend.bandits import Exploration, prior
from assistant.recommend.catalogue import Affinity, Item
from assistant.recommend.features import SIZE
from assistant.recommend.item_table import lay_out
from assistant.recommend.moment import NOWHERE, Moment
from assistant.recommend.ranking import RankRequest, rank_items
from assistant.recommend.scoring import Learned, RankingContext
from assistant.recommend.slate import Knobs
from assistant.recommend.together import Like, Neighbours, Together, add_likes

TAGS = [f"tag{n}" for n in range(200)]
KINDS = ("article", "music", "exercise", "video", "offer")


def catalogue(count: int) -> list[Item]:
    rng = np.random.default_rng(0)
    return [
        Item(
            f"i{n}",
            f"Title {n}",
            KINDS[n % 5],
            tags=tuple(TAGS[t] for t in rng.integers(200, size=3)),
            affinity=Affinity(0.0, 0.0, float(rng.uniform(-1, 1)))
            if n % 10 == 0
            else Affinity(*rng.uniform(-1, 1, 3).tolist()),
            commercial=n % 10 == 0,
        )
        for n in range(count)
    ]


def liked_together(items: int) -> Together:
    """2,000 people who each liked 20 items; the first items more often."""
    rng = np.random.default_rng(2)
    chances = 1 / np.arange(1, items + 1) ** 0.8
    drawn = rng.choice(items, size=(2_000, 20), p=chances / chances.sum())
    people = [[f"i{n}" for n in dict.fromkeys(row)] for row in drawn.tolist()]
    return add_likes(Together(), [Like(item, row[:at]) for row in people for at, item in enumerate(row)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--requests", type=int, default=2_000)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    belief = prior()
    for _ in range(300):
        belief = belief.learn(rng.normal(size=SIZE) * 0.3, float(rng.random()))
    profile = Profile(interests=("tag1", "tag2", "tag3"))
    for count in args.items:
        started = time.perf_counter()
        table = lay_out(catalogue(count))
        laid_out = time.perf_counter() - started
        learned = Learned(belief, Exploration("linucb"), np.arange(min(count, 1000)), np.ones(min(count, 1000)))
        tastes = replace(learned, neighbours=Neighbours(liked_together(min(count, 5000)), table))
        likes = tuple(f"i{n}" for n in range(1, 21))
        cases: dict[str, dict[str, Any]] = {
            "cold start, no mood": {"mood": False},
            "cold start, mood": {"mood": True},
            "LinUCB, mood, moment": {"mood": True, "learned": learned},
            "Thompson, mood, moment": {
                "mood": True,
                "learned": Learned(belief, Exploration("thompson"), learned.popular, learned.mass),
            },
            "LinUCB, mood, 20 likes": {"mood": True, "learned": tastes, "likes": likes},
            "LinUCB, mood, diverse": {"mood": True, "learned": learned, "knobs": Knobs(serendipity=0.3)},
        }
        requests = args.requests if count <= 10_000 else max(200, args.requests // 10)
        print(f"{count} items, laid out in {laid_out:.2f} s, {requests} requests each")
        for name, case in cases.items():
            with_mood = case.pop("mood")
            took, busy = [], []
            for n in range(requests + 20):
                mood = Mood(Estimate(0.1, 0.2), Estimate(0.2, 0.2), n % 100 / 100, {}, (), 0.0, 900.0, 0.8)
                moment = Moment(hour=n % 24, weekday=n % 7, place="home", searches=("tag5 tag7",))
                begun, worked = time.perf_counter(), time.thread_time()
                known = case.get("learned")
                who = RankingContext(
                    profile,
                    mood if with_mood else None,
                    NOWHERE if known is None else moment,
                    1e9,
                    known,
                    f"d{n}",
                    likes=case.get("likes", ()),
                )
                rank_items(table, who, RankRequest(knobs=case.get("knobs", Knobs())))
                took.append(1000 * (time.perf_counter() - begun))
                busy.append(1000 * (time.thread_time() - worked))
            p50, p99 = np.percentile(took[20:], [50, 99])
            own50, own99 = np.percentile(busy[20:], [50, 99])
            print(
                f"  {name:<24} p50 {p50:7.3f}  p99 {p99:7.3f}   of it working p50 {own50:7.3f}  p99 {own99:7.3f} ms"
            )


if __name__ == "__main__":
    main()
