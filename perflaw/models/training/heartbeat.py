"""A line now and then about a run that trains unseen, as in a sweep in the background."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

EVERY = 60.0  # seconds between two lines


class Heartbeat:
    """Says at most once in EVERY seconds, on standard error, how far a run is, how fast it is and how long it may take.

    label: what the run is called. total: positions that it trains on at the most, `done` of them before it was stopped.
    """

    def __init__(self, label: str, total: float, done: float = 0.0, on: bool = True):
        self.label, self.total, self.on = label, total, on
        self.last, self.at = time.perf_counter(), done

    def beat(self, where: str, done: float):
        """Where it is, in words, and how many positions are done; called often."""
        now = time.perf_counter()
        if not self.on or now - self.last < EVERY:
            return
        pace = (done - self.at) / (now - self.last)
        left = (
            f"at most {tqdm.format_interval((self.total - done) / pace)} left"
            if pace > 0
            else "time left unknown"
        )
        self.last, self.at = now, done
        tqdm.write(
            f"{time.strftime('%H:%M:%S')} {self.label}: {where}; {pace:,.0f} positions a second, {left}",
            file=sys.stderr,
        )
