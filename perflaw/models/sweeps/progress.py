"""The progress of a whole sweep."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from perflaw.models.sweeps.cost_model import CostModel
from perflaw.models.sweeps.results import records_table
from perflaw.models.training.run_records import RETRYABLE

if TYPE_CHECKING:
    from perflaw.models.sweeps.runner import SweepPlan

BAR_FORMAT = "{desc}: {n_fmt} of {total_fmt} runs |{bar:20}| {elapsed}{postfix}"


class SweepBar:
    """Runs done, how many an hour, and how long the rest takes by what those done took.

    Parameters
    ----------
    plan : SweepPlan
        The sweep before it runs.
    name : str
        What the bar is called.
    progress : bool
        Whether it is shown.
    deadline : float
        When the sweep has to end, by `time.perf_counter`; it may be infinite.
    """

    def __init__(self, plan: SweepPlan, name: str, progress: bool, deadline: float) -> None:
        self.frame, self.records, self.deadline = plan.frame, list(plan.records), deadline
        self.remaining = [i for job in plan.jobs for i in job]
        self.ended_now: list[int] = []
        self.failed = 0
        self.seconds = plan.frame["predicted_seconds"].to_numpy()
        self.start = time.perf_counter()
        total = len(plan.points)
        self.bar = tqdm(
            total=total,
            initial=total - len(self.remaining),
            desc=name,
            disable=not progress,
            position=0,
            bar_format=BAR_FORMAT,
            mininterval=0.1 if sys.stderr.isatty() else 30,
        )

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()

    def update(self, job: Sequence[int], records: list[dict]) -> None:
        """Note that the runs of a job, given by their numbers, have ended."""
        self.remaining = [i for i in self.remaining if i not in job]
        self.ended_now += job
        self.failed += sum(record["status"].startswith(RETRYABLE) for record in records)
        self.records += records
        if len(self.ended_now) < 20 or len(self.ended_now) % 10 == 0:
            self.seconds = CostModel(records_table(self.records)).seconds(self.frame)
        now = time.perf_counter()
        spent = now - self.start
        pace = spent / self.seconds[self.ended_now].sum()
        work_left = pace * self.seconds[self.remaining].sum()
        time_left = tqdm.format_interval(min(work_left, max(0, self.deadline - now)))
        text = f"{3600 * len(self.ended_now) / spent:,.0f} an hour, about {time_left} left"
        if self.failed:
            text += f", {self.failed} failed"
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(len(job))
