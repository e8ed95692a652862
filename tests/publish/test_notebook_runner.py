"""Kernels that do not start are started again; other failures are failures."""

import papermill
import pytest

from perflaw import notebook_runner


@pytest.fixture
def starts(monkeypatch):
    """What each start raises, None where it goes well; and the calls that were made."""
    outcomes, calls = [], []

    def execute(*arguments, **options):
        calls.append(arguments)
        if error := outcomes[len(calls) - 1]:
            raise error

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    return outcomes, calls


NO_KERNEL = (
    RuntimeError("Kernel didn't respond in 60 seconds"),
    RuntimeError("Kernel died before replying to kernel_info"),
)


@pytest.mark.parametrize("failures", [(), NO_KERNEL[:1], NO_KERNEL[1:], NO_KERNEL])
def test_a_kernel_that_does_not_start_is_started_again(starts, failures):
    outcomes, calls = starts
    outcomes += [*failures, None]
    notebook_runner.execute("in.ipynb", "out.ipynb", "{level: 0.9}")
    assert calls == [("in.ipynb", "out.ipynb", {"level": 0.9})] * (len(failures) + 1)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (NO_KERNEL[0], 3),
        (NO_KERNEL[1], 3),
        (RuntimeError("Kernel died"), 1),
        (ValueError("a cell"), 1),
    ],
)
def test_other_failures_end_it(starts, error, attempts):
    outcomes, calls = starts
    outcomes += [error] * 3
    with pytest.raises(type(error), match=str(error)):
        notebook_runner.execute("in.ipynb", "out.ipynb", "{}")
    assert len(calls) == attempts
