"""A line now and then about a run that nobody watches, as in a sweep in the background."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

EVERY = 60.0  # seconds between two lines


class Heartbeat:
    """Says at most once in `EVERY` seconds, on standard error, how far a run is.

    Parameters
    ----------
    label : str
        What the run is called.
    total : float
        Positions that it trains on, at most.
    done : float
        Positions done before it was stopped.
    on : bool
        Whether it says anything.
    """

    def __init__(self, label: str, total: float, done: float = 0.0, on: bool = True) -> None:
        self.label, self.total, self.on = label, total, on
        self.last_time, self.last_done = time.perf_counter(), done

    def beat(self, where: str, done: float) -> None:
        """Say where the run is, in words, and how many positions are done; called often."""
        now = time.perf_counter()
        if not self.on or now - self.last_time < EVERY:
            return
        pace = (done - self.last_done) / (now - self.last_time)
        time_left = "time left unknown"
        if pace > 0:
            time_left = f"at most {tqdm.format_interval((self.total - done) / pace)} left"
        self.last_time, self.last_done = now, done
        clock = time.strftime("%H:%M:%S")
        line = f"{clock} {self.label}: {where}; {pace:,.0f} positions a second, {time_left}"
        tqdm.write(line, file=sys.stderr)
