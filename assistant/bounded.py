"""A dictionary that never grows beyond a bound, for what is kept in memory of many people."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V]):
    """At most `most` entries: the one that was set longest ago goes first.

    >>> known = BoundedDict[str, int](2)
    >>> known["a"], known["b"], known["a"], known["c"] = 1, 2, 3, 4
    >>> known
    {'a': 3, 'c': 4}
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._most:
            del self[next(iter(self))]
