"""Rewards: what came of a decision, as one number in [0, 1] by a table, and what is learned from it.

What was acknowledged is in an append-only log; what was learned is a fold over the log. So a state can always be
made again: from nothing, or from a snapshot and the rewards after it. Sums don't depend on the order, and every
worker that has folded the same rewards knows the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import msgspec
import numpy as np

from assistant.arrays import Floats
from assistant.errors import Invalid
from assistant.recommend.bandits import Belief, Exploration, prior, restore
from assistant.recommend.features import ITEM, MOMENT, SIZE
from assistant.recommend.holdout import Arm
from assistant.recommend.item_table import ItemTable
from assistant.recommend.scoring import POPULARITY_HALF_LIFE_S, Learned
from assistant.recommend.together import LIKED, Like, Neighbours, Together, add_likes, pack_counts, unpack_counts

Kind = Literal["click", "completion", "dwell", "rating", "conversion", "none"]

DWELL_HALF_S = 30.0
"""Seconds of attention that are worth half a reward."""
LATE_S = 30 * 86_400.0
"""Seconds after which a reward is kept, but nothing is learned from it."""


@dataclass(frozen=True, slots=True)
class Worth:
    """How one kind of reward becomes a number."""

    lowest: float
    highest: float
    """What the value may be, in the app's unit."""
    says: str
    number: Callable[[float], float]


TABLE: Mapping[Kind, Worth] = {
    "click": Worth(0.0, 1.0, "0.3 for a click: it shows interest, not liking", lambda value: 0.3 * value),
    "dwell": Worth(0.0, 86_400.0, "seconds s of attention: s / (s + 30)", lambda s: s / (s + DWELL_HALF_S)),
    "completion": Worth(0.0, 1.0, "the share that was finished", lambda share: share),
    "rating": Worth(1.0, 5.0, "one to five stars, evenly from 0 to 1", lambda stars: (stars - 1) / 4),
    "conversion": Worth(0.0, 1.0, "1; of an item that isn't commercial only", lambda value: value),
    "none": Worth(0.0, 1.0, "0: it was shown and nothing came of it", lambda _: 0.0),
}
"""Each kind of reward, what its value may be, and its worth. A commercial conversion teaches nothing: the learned
policy must not find out when people buy."""


def reward_of(kind: Kind, value: float = 1.0) -> float:
    """The number in [0, 1]. Raises `Invalid` (`reward_value`) for a value that this kind can't have.

    >>> [reward_of("click"), reward_of("dwell", 30.0), reward_of("rating", 4.0), reward_of("none")]
    [0.3, 0.5, 0.75, 0.0]
    """
    worth = TABLE[kind]
    if not worth.lowest <= value <= worth.highest:
        raise Invalid(
            f"the value of a {kind} lies between {worth.lowest:g} and {worth.highest:g}", code="reward_value"
        )
    return worth.number(value)


@dataclass(frozen=True, slots=True)
class Reward:
    """One acknowledged reward."""

    item: str
    kind: Kind
    reward: float
    """In [0, 1]."""
    expected: float
    """What the cold start expected (`scoring.cold_start`) without the mood."""
    at: float
    """Unix seconds: when it came."""
    decided_at: float
    """Unix seconds: when the item was shown."""
    features: tuple[float, ...] = ()
    """Of the choice. The mood's are 0 where it had expired or may not be remembered. Empty: only popularity is
    learned."""
    felt: float = 0.0
    """What the mood added to `expected`, where `features` have it."""
    commercial: bool = False
    arm: Arm | None = None
    """Of the standing experiment (`holdout`); None where the person let no mood be used."""
    taste: bool = False
    """It shows what the person likes (`shows_taste`) and they don't object to that being used."""
    beside: tuple[str, ...] = ()
    """Where it does: what they had liked last, the newest first."""

    @property
    def blind(self) -> Reward:
        """The same without the mood."""
        features = np.array(self.features)
        features[len(MOMENT) * len(ITEM) :] = 0.0
        return replace(self, features=tuple(features.tolist()), felt=0.0)

    @property
    def late(self) -> bool:
        """It came so late that nothing is learned from it."""
        return self.at - self.decided_at > LATE_S

    @property
    def teaches(self) -> bool:
        """Something is learned from it."""
        return bool(self.features) and not self.late and not (self.commercial and self.kind == "conversion")


def shows_taste(reward: Reward) -> bool:
    """Whether a reward says what the person likes: a click's worth or more, in time, for nothing commercial."""
    return reward.reward >= LIKED and not reward.commercial and not reward.late


class RewardLog(Protocol):
    """Where rewards are kept. `store` implements it."""

    async def add(self, app: str, person: str, decision: str, key: str, reward: Reward) -> bool:
        """Keep one; durable when this returns. False where this `key` was kept before: it counts once."""

    async def after(self, app: str, number: int) -> tuple[int, list[Reward]]:
        """The rewards after the `number`th of the log, in order, and the number of the last."""

    async def of_person(self, person: str, number: int, most: int) -> tuple[int, list[Reward]]:
        """The last number, and a person's newest rewards after the `number`th, `most` at most, in order."""

    async def forget_mood(self, person: str) -> None:
        """Make every kept reward of a person blind: they don't let their mood be remembered any more."""

    async def snapshot(self, app: str) -> tuple[int, bytes] | None:
        """The newest kept state and the number of the last reward in it."""

    async def keep(self, app: str, number: int, state: bytes) -> None:
        """Keep a state; an older one than is there changes nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What an app's rewards have taught."""

    belief: Belief = field(default_factory=prior)
    popularity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Item to its rewards, decayed to a time: (mass, Unix seconds)."""
    together: Together = field(default_factory=Together)
    """What the same people liked."""
    number: int = 0
    """Of the last reward in the log that is in it."""


def learn(state: State, rewards: Iterable[Reward], number: int) -> State:
    """The state after some more rewards, of which the last has this number."""
    rewards = list(rewards)
    belief, popularity = state.belief, dict(state.popularity)
    for reward in rewards:
        if reward.teaches:
            belief = belief.learn(np.array(reward.features), reward.reward - reward.expected - reward.felt)
        if reward.reward > 0 and not reward.commercial:
            mass, since = popularity.get(reward.item, (0.0, reward.at))
            now = max(since, reward.at)
            popularity[reward.item] = (_decayed(mass, now - since) + _decayed(reward.reward, now - reward.at), now)
    likes = (Like(reward.item, reward.beside) for reward in rewards if reward.taste)
    return State(belief, popularity, add_likes(state.together, likes), number)


def _decayed(mass: float, age_s: float) -> float:
    return float(mass * 2.0 ** (-age_s / POPULARITY_HALF_LIFE_S))


def align_state(state: State, table: ItemTable, now: float, exploration: Exploration) -> Learned:
    """The state as ranking needs it: by the rows of a table."""
    masses = [(table.place[item], *mass) for item, mass in state.popularity.items() if item in table.place]
    return Learned(
        state.belief,
        exploration,
        popular=np.array([row for row, _, _ in masses], dtype=np.int64),
        mass=np.array([_decayed(mass, max(0.0, now - at)) for _, mass, at in masses]),
        at=now,
        neighbours=Neighbours(state.together, table) if state.together.pairs else None,
    )


_LAYOUT = 2


def pack(state: State) -> bytes:
    """The state's sums as bytes."""
    belief: Floats = np.concatenate([state.belief.precision[np.triu_indices(SIZE)], state.belief.moment])
    sums = (state.number, state.belief.count, belief.tobytes(), dict(state.popularity), pack_counts(state.together))
    return msgspec.msgpack.encode((_LAYOUT, SIZE, msgspec.msgpack.encode(sums)))


_Sums = tuple[int, int, bytes, dict[str, tuple[float, float]], tuple[list[str], list[int], list[list[int]]]]


def unpack(kept: bytes) -> State:
    """Undo `pack`; from another layout nothing can be restored, and learning begins again with the whole log."""
    layout, size, *rest = msgspec.msgpack.decode(kept)
    if (layout, size) != (_LAYOUT, SIZE):
        return State()
    number, count, belief, popularity, together = msgspec.msgpack.decode(rest[0], type=_Sums)
    numbers = np.frombuffer(belief, dtype=np.float64)
    precision = np.zeros((SIZE, SIZE))
    precision[np.triu_indices(SIZE)] = numbers[:-SIZE]
    precision += np.triu(precision, 1).T
    belief_again = restore(precision, numbers[-SIZE:].copy(), count)
    return State(belief_again, popularity, unpack_counts(*together), number)
