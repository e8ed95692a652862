"""Findings in sentences: what a report says first."""

from __future__ import annotations

import math

import pandas as pd

from perflaw.report.findings import (
    AXIS_LABELS,
    Advice,
    BaselineComparison,
    Change,
    Findings,
    Growth,
    MetricFindings,
    Size,
    Verdict,
)

VERDICTS = {
    Verdict.DATA: "More data would bring more than a larger model",
    Verdict.MODEL: "A larger model would bring more than more data",
    Verdict.NEITHER: "Neither a larger model nor more data would bring much",
    Verdict.UNKNOWN: "Whether a larger model or more data would bring more cannot be told yet",
}

WITHOUT_LOG = (
    "No log was given, so count-based baselines were not compared. One of them may rank as well as "
    "the best model; a report on the log itself compares them on the same users."
)
DOUBLED = AXIS_LABELS | {"tokens": "data (more interactions of the same users and items)"}


def describe_findings(findings: Findings) -> tuple[str, ...]:
    """Say what was found.

    Parameters
    ----------
    findings
        With or without their sentences.

    Returns
    -------
    tuple of str
        The advice first, or the reasons where nothing is claimed; then what it stands on.
    """
    reasons = "; ".join(findings.reasons)
    best, advice = findings.best, findings.recommendation.advice
    if best is None and advice == Advice.STAY:
        return (f"There is nothing to do: {reasons}.",)
    if best is None:
        return (f"Nothing can be claimed: {reasons}.",)
    sentences = [] if advice == Advice.UNKNOWN else [_describe_advice(findings)]
    if reasons:
        what = "Of larger models nothing can be said" if sentences else "Nothing can be claimed"
        sentences.append(
            f"{what}: {reasons}. The predictions below are shown with their intervals, and are no "
            "advice."
        )
    if findings.without_log:
        sentences.append(WITHOUT_LOG)
    choice = _describe_choice(findings, best)
    sentences += [
        _describe_metric(name, metric, choice, best, findings.level)
        for name, metric in findings.metrics.items()
    ]
    sentences += [f"{name} is not forecast: {why}." for name, why in findings.not_forecast.items()]
    if findings.growth:
        sentences.append(_describe_growth(findings))
    sentences.append(_describe_bottleneck(findings, best))
    return tuple(sentences)


def summarize_advice(findings: Findings, command: str | None = None) -> dict[str, str]:
    """Say in four lines what to do: verdict, gain, certainty and next command.

    Parameters
    ----------
    findings
        With or without their sentences.
    command
        To call next, where there is one.

    Returns
    -------
    dict
        A line by Verdict, Gain, Certainty and Next.
    """
    verdict, gain, certainty = _summarize(findings)
    following = command or _next_step(findings)
    return {"Verdict": verdict, "Gain": gain, "Certainty": certainty, "Next": following}


def describe_sample(pilot_users: int, users: int) -> str:
    """Say of how much of a log a pilot is, before anything else is said."""
    return (
        f"All that follows is of {pilot_users:,} of the log's {users:,} users, one in "
        f"{users / pilot_users:.0f}, as the budget is short. The same command with a larger "
        "--budget takes more of them."
    )


def describe_overrun(seconds: float, minutes: float) -> str | None:
    """Say that a report took longer than its budget, if it did by more than a tenth.

    Parameters
    ----------
    seconds
        That all of it took.
    minutes
        Its budget.

    Examples
    --------
    >>> describe_overrun(62, 1)
    >>> describe_overrun(100, 1)
    'This took 100 s, longer than the budget of 1 minute: reading, entropy, baselines, the first \
runs and the page are never cut short. Give --budget 2.'
    """
    if seconds <= 66 * minutes:
        return None
    return (
        f"This took {seconds:.0f} s, longer than the budget of {format_minutes(minutes)}: reading, "
        "entropy, baselines, the first runs and the page are never cut short. Give --budget "
        f"{math.ceil(seconds / 60)}."
    )


def format_percent(chance: float) -> str:
    """Write a probability in per cent, without certainty at either end.

    Examples
    --------
    >>> format_percent(0.42), format_percent(0.999)
    ('42 %', 'more than 99 %')
    """
    if chance > 0.99:
        return "more than 99 %"
    return "less than 1 %" if chance < 0.01 else f"{100 * chance:.0f} %"


def format_minutes(minutes: float) -> str:
    """Write a number of minutes, without rounding.

    Examples
    --------
    >>> format_minutes(1), format_minutes(2.5)
    ('1 minute', '2.5 minutes')
    """
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """Write a duration in its natural unit.

    Examples
    --------
    >>> format_duration(5), format_duration(600), format_duration(9000)
    ('5 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _summarize(findings: Findings) -> tuple[str, str, str]:
    """Give verdict, gain and certainty."""
    recommendation = findings.recommendation
    advice, promising = recommendation.advice, recommendation.promising
    if recommendation.baseline is not None:
        return _summarize_baseline(recommendation.baseline, findings.level)
    if advice == Advice.STAY and findings.best is None:
        return findings.reasons[0], "none is possible", "no rate exceeds 1"
    if advice == Advice.UNKNOWN or findings.best is None:
        reason = findings.reasons[0] if findings.reasons else "no run ended"
        return f"nothing can be said: {reason}", "none is claimed", "none"
    if promising is None:
        verdict = "stay with the best trained size"
        return verdict, "none", "no other size costs less than the pilot"
    metric = findings.first_metric
    if advice == Advice.MORE_DATA:
        change = _format_change(findings.growth[0], findings.level)
        return (
            "more data before a larger model, if your log grows as other logs did",
            f"{metric} {change} with twice as many users",
            "the interval excludes zero; it is learnt from the study's logs, not measured on yours",
        )
    change = _format_change(promising.gain, findings.level)
    gain = f"{metric} {change} for {_format_size(promising.size)}"
    certainty = f"better with a probability of {format_percent(promising.chance)}"
    if advice == Advice.STAY:
        verdict = f"stay with {_name_size(promising.best)}"
        return verdict, f"{gain}, the most promising other size", certainty
    verdict = f"train {_name_size(promising.size)}: {advice}"
    gain += f", against {_format_size(promising.best)}, both by the forecast"
    return verdict, gain, certainty


def _summarize_baseline(baseline: BaselineComparison, level: float) -> tuple[str, str, str]:
    return (
        f"no transformer: “{baseline.name}”, which is not trained, is as good or better",
        f"{baseline.metric} of the best model less that of the baseline: "
        f"{baseline.difference:+.4f}",
        _format_interval(baseline, level),
    )


def _next_step(findings: Findings) -> str:
    """Say what to do next where no command can be given."""
    size = findings.recommendation.size
    if size is not None:
        return (
            f"train {_format_size(size)} by your own means, and call again with its run among the "
            "others"
        )
    if findings.recommendation.advice != Advice.UNKNOWN:
        return "nothing to do" if findings.best is None else "nothing to train"
    if findings.lacks_users:
        return "nothing to train: more test users are needed, and more runs do not bring them"
    return "more runs; call again with them"


def _describe_advice(findings: Findings) -> str:
    recommendation, level = findings.recommendation, findings.level
    if recommendation.baseline is not None:
        return _describe_baseline(recommendation.baseline, level)
    promising = recommendation.promising
    if promising is None:
        return (
            "Stay with the best trained size; there is nothing to train: no other size costs less "
            "than the pilot did."
        )
    metric = findings.first_metric
    size, best = _format_size(promising.size), _format_size(promising.best)
    compared = (
        f"By the forecast its {metric} is {promising.value:.4f}, against "
        f"{promising.best_value:.4f} of {best}, the trained size with the highest forecast. "
        f"For means over seeds that is {_format_change(promising.gain, level)}"
    )
    if recommendation.size is not None:
        return (
            f"Train {size} next ({recommendation.advice}). {compared}; it is better with a "
            f"probability of {format_percent(promising.chance)}{_describe_cost(promising.seconds)}."
        )
    lead = (
        "Get more data before a larger model"
        if recommendation.advice == Advice.MORE_DATA
        else f"Stay with {best}"
    )
    return (
        f"{lead}; there is nothing to train. Of other sizes {size} is the most promising. "
        f"{compared}."
    )


def _describe_baseline(baseline: BaselineComparison, level: float) -> str:
    what = "better than" if baseline.high < 0 else "within noise of"
    return (
        f"No transformer: the baseline “{baseline.name}”, which is not trained, is {what} the "
        f"best model. Its {baseline.metric} is {baseline.value:.4f}, and the model's less it "
        f"{baseline.difference:+.4f} ({_format_interval(baseline, level)})."
    )


def _describe_cost(seconds: float) -> str:
    if not math.isfinite(seconds):
        return ""
    return f", and takes about {format_duration(seconds)} of one core on these users"


def _describe_choice(findings: Findings, best: Size) -> str:
    """Say which trained size is the best, and by what."""
    if not findings.chosen_on_test:
        return f"on validation {_format_size(best)} is the best trained size"
    return (
        f"{_format_size(best)} is the best trained size on test. It was chosen there, as the runs "
        f"have no column 'validation {findings.first_metric}', so its value is likely too high"
    )


def _describe_metric(
    name: str, metric: MetricFindings, choice: str, best: Size, level: float
) -> str:
    end, runs, forecasts = metric.curves["d_emb"].iloc[-1], metric.measured, metric.predictions
    value = runs.loc[_is_size(runs, best), "value"].mean()
    forecast = forecasts.loc[_is_size(forecasts, best), "predicted"].iloc[0]
    change = 100 * (end["predicted"] / forecast - 1)
    return (
        f"{name}: {choice}. It has {value:.4f}, and {forecast:.4f} by the forecast. "
        f"With d = {end['x']:.0f}, four times the largest trained, "
        f"{end['predicted']:.4f} is expected, {change:+.1f} % against that forecast "
        f"({100 * level:.0f} % interval for one run: {end['low']:.4f} to {end['high']:.4f})."
    )


def _is_size(rows: pd.DataFrame, size: Size) -> pd.Series:
    """Mark the rows of a size on all data."""
    return (rows["n_layers"] == size.n_layers) & (rows["d_emb"] == size.d_emb) & (rows["data"] == 1)


def _describe_growth(findings: Findings) -> str:
    metric = findings.first_metric
    changes = ", ".join(
        f"{growth.times} times as many users {growth.change:+.1f} % ({growth.low:+.1f} to "
        f"{growth.high:+.1f})"
        for growth in findings.growth
    )
    return (
        "If the log grows as it has, by new users with their own items and tested on all of them, "
        f"{metric} changes as it did on the public logs of the perflaw study: {changes}."
    )


def _describe_bottleneck(findings: Findings, best: Size) -> str:
    metric = findings.first_metric
    names = dict(DOUBLED)
    if not (findings.metrics[metric].measured["data"] < 1).any():
        names["tokens"] += ", by other logs alone,"
    changes = ", ".join(
        f"the {names[axis]} {gain.change:+.1f} % ({gain.low:+.1f} to {gain.high:+.1f})"
        for axis, gain in findings.metrics[metric].doublings.items()
    )
    bottleneck = findings.bottleneck
    return (
        f"{VERDICTS[bottleneck.verdict]}: {bottleneck.why}. Doubled from {_format_size(best)}, "
        f"each changes {metric} ({100 * findings.level:.0f} % intervals): {changes}. A log "
        "that grows by new users and items gains less."
    )


def _format_size(size: Size) -> str:
    return f"N = {size.n_layers}, d = {size.d_emb}"


def _name_size(size: Size) -> str:
    """Say what N and d are, where a size is named first."""
    layers = "layer" if size.n_layers == 1 else "layers"
    return f"{size.n_layers} {layers} (N) of dimension {size.d_emb} (d)"


def _format_change(gain: Change | Growth, level: float) -> str:
    return (
        f"{gain.change:+.1f} % ({100 * level:.0f} % interval {gain.low:+.1f} to {gain.high:+.1f})"
    )


def _format_interval(baseline: BaselineComparison, level: float) -> str:
    return f"{100 * level:.0f} % interval {baseline.low:+.4f} to {baseline.high:+.4f}"
