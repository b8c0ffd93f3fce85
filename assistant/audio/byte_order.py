"""The order of the two bytes of 16-bit samples, told from the samples: senders of `L16` do not agree on it.

RFC 2586 says that the high byte comes first; most telephone services send the low byte first and call it the same.
Speech read in the wrong order jumps from sample to sample like loud noise.
"""

from __future__ import annotations

import numpy as np

from assistant.audio.pcm import from_pcm16

_ROUGHER = 1.5
"""How many times rougher the usual order must be before the other one is taken."""
_JUDGED = 16_000
"""Samples with sound after which the order stands."""


class ByteOrder:
    """Turns 16-bit samples into little-endian ones, in whatever order they come; one for each stream.

    >>> order, speech = ByteOrder(), (3000 * np.sin(np.arange(200) / 9)).astype("<i2")
    >>> order.turn(speech.byteswap().tobytes()) == speech.tobytes(), order.big_endian
    (True, True)
    >>> ByteOrder().turn(speech.tobytes()) == speech.tobytes()
    True
    """

    def __init__(self) -> None:
        self.big_endian = False
        self._rough = np.zeros(2)
        """Mean jump of each order, summed over what was judged."""
        self._judged = 0
        self._odd = b""

    def turn(self, data: bytes) -> bytes:
        """Whole little-endian samples; a single byte at the end waits for the next piece."""
        data = self._odd + data
        whole = len(data) // 2 * 2
        data, self._odd = data[:whole], data[whole:]
        if self._judged < _JUDGED:
            self._judge(data)
        return np.frombuffer(data, dtype="<i2").byteswap().tobytes() if self.big_endian else data

    def _judge(self, data: bytes) -> None:
        little = from_pcm16(data)
        if len(little) < 2 or not little.any():  # silence is the same in both
            return
        big = from_pcm16(np.frombuffer(data, dtype="<i2").byteswap().tobytes())
        self._rough += [np.abs(np.diff(each)).sum() for each in (little, big)]
        self._judged += len(little)
        self.big_endian = bool(self._rough[0] > _ROUGHER * self._rough[1])
