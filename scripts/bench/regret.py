"""Regret over simulated rounds, beside VowpalWabbit and MABWiser: `python -m scripts.bench.regret`.

The environment is linear in the crossed features of a context and an item, as the product's are, and known: 10
items, 4 numbers of a context, rewards 0 or 1. Every learner sees the same contexts and the same luck. Regret is the
expected reward that was missed. Each takes its default settings or those that its documentation recommends. Needs
vowpalwabbit and mabwiser.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from assistant.recommend.bandits import Exploration, fold, prior
from assistant.recommend.slate import draw, generator

ITEMS, CONTEXT, EACH = 10, 4, 6


class Environment:
    """Contexts, items and luck; the same for every learner with the same seed."""

    def __init__(self, seed: int, rounds: int) -> None:
        rng = np.random.default_rng(seed)
        self.items = np.concatenate([np.ones((ITEMS, 1)), rng.normal(size=(ITEMS, EACH - 1)) / 2], axis=1)
        self.contexts = np.concatenate([np.ones((rounds, 1)), rng.normal(size=(rounds, CONTEXT - 1)) / 2], axis=1)
        weights = rng.normal(size=(CONTEXT, EACH)) * 0.25
        self.chance = np.clip(0.4 + self.contexts @ weights @ self.items.T, 0.02, 0.98)
        self.luck = rng.random((rounds, ITEMS))

    def reward(self, at: int, item: int) -> float:
        return float(self.luck[at, item] < self.chance[at, item])


Choose = Callable[[int, np.ndarray], int]
Learn = Callable[[int, np.ndarray, int, float], None]


def ours(world: Environment, algorithm: str, width: float, temperature: float) -> tuple[Choose, Learn]:
    state = {"belief": prior(CONTEXT * EACH)}
    how = Exploration(algorithm, width)  # type: ignore[arg-type]

    def choose(at: int, context: np.ndarray) -> int:
        inner = fold(state["belief"], context, how, f"{at}")
        scores = inner.expected(world.items) + inner.bonus(world.items)
        noise = -np.log(generator(f"{at}").standard_exponential(ITEMS))
        return draw(scores, noise, 1, temperature)[0].row

    def learn(at: int, context: np.ndarray, item: int, reward: float) -> None:
        state["belief"] = state["belief"].learn(np.outer(context, world.items[item]).ravel(), reward)

    return choose, learn


def uniform(world: Environment, seed: int) -> tuple[Choose, Learn]:
    rng = np.random.default_rng(seed)
    return (lambda at, context: int(rng.integers(ITEMS))), (lambda at, context, item, reward: None)


def vowpal(world: Environment, seed: int, options: str) -> tuple[Choose, Learn]:
    import vowpalwabbit

    learner = vowpalwabbit.Workspace(f"--cb_explore_adf --quiet -q CI --random_seed {seed} {options}")
    rng = np.random.default_rng(seed)
    chosen: dict[int, float] = {}

    def lines(context: np.ndarray, item: int = -1, cost: float = 0.0, chance: float = 1.0) -> list[str]:
        shared = "shared |C " + " ".join(f"c{k}:{v:.6f}" for k, v in enumerate(context))
        told = []
        for n, numbers in enumerate(world.items):
            label = f"0:{cost}:{chance:.6f} " if n == item else ""
            told.append(f"{label}|I " + " ".join(f"i{k}:{v:.6f}" for k, v in enumerate(numbers)))
        return [shared, *told]

    def choose(at: int, context: np.ndarray) -> int:
        chances = np.array(learner.predict(lines(context)))
        item = int(rng.choice(ITEMS, p=chances / chances.sum()))
        chosen[at] = float(chances[item] / chances.sum())
        return item

    def learn(at: int, context: np.ndarray, item: int, reward: float) -> None:
        learner.learn(lines(context, item, -reward, chosen.pop(at)))

    return choose, learn


def mabwiser(world: Environment, seed: int, policy: str) -> tuple[Choose, Learn]:
    from mabwiser.mab import MAB, LearningPolicy

    policies = {"LinUCB": LearningPolicy.LinUCB(alpha=0.3), "LinTS": LearningPolicy.LinTS(alpha=0.3)}
    mab = MAB(list(range(ITEMS)), policies[policy], seed=seed)
    started = [False]

    def choose(at: int, context: np.ndarray) -> int:
        return int(mab.predict([context.tolist()])) if started[0] else at % ITEMS

    def learn(at: int, context: np.ndarray, item: int, reward: float) -> None:
        (mab.partial_fit if started[0] else mab.fit)([item], [reward], [context.tolist()])
        started[0] = True

    return choose, learn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    learners: dict[str, Callable[[Environment, int], tuple[Choose, Learn]]] = {
        "uniform": uniform,
        "LinUCB, drawn at .05": lambda w, s: ours(w, "linucb", 0.1, 0.05),
        "LinUCB, greedy": lambda w, s: ours(w, "linucb", 0.1, 1e-4),
        "Thompson, drawn at .05": lambda w, s: ours(w, "thompson", 0.1, 0.05),
        "Thompson, greedy": lambda w, s: ours(w, "thompson", 0.1, 1e-4),
        "vw epsilon .05": lambda w, s: vowpal(w, s, "--epsilon 0.05"),
        "vw squarecb": lambda w, s: vowpal(w, s, "--squarecb"),
        "mabwiser LinUCB": lambda w, s: mabwiser(w, s, "LinUCB"),
        "mabwiser LinTS": lambda w, s: mabwiser(w, s, "LinTS"),
    }
    marks = [n for n in (500, 1_000, 2_000, 5_000, 10_000, 20_000) if n <= args.rounds]
    print(f"cumulative regret after {marks} rounds: mean over {args.seeds} seeds (range at the end)")
    for name, make in learners.items():
        curves, begun = [], time.perf_counter()
        for seed in range(args.seeds):
            world = Environment(seed, args.rounds)
            choose, learn = make(world, seed)
            missed = np.empty(args.rounds)
            for at, context in enumerate(world.contexts):
                item = choose(at, context)
                learn(at, context, item, world.reward(at, item))
                missed[at] = world.chance[at].max() - world.chance[at, item]
            curves.append(np.cumsum(missed))
        ends = [curve[-1] for curve in curves]
        shown = "  ".join(f"{np.mean([c[n - 1] for c in curves]):8.1f}" for n in marks)
        took = 1e6 * (time.perf_counter() - begun) / args.rounds / args.seeds
        print(f"  {name:<24}{shown}   ({min(ends):.0f} to {max(ends):.0f}; {took:.0f} us a round)", flush=True)


if __name__ == "__main__":
    main()
