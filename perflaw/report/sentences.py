"""Findings in sentences: what a report says first."""

from __future__ import annotations

from perflaw.report.findings import (
    AXIS_LABELS,
    METRICS,
    Findings,
    MetricFindings,
    NextRun,
    Size,
    Verdict,
)

VERDICTS = {
    Verdict.DATA: "The data is the bottleneck",
    Verdict.MODEL: "The model is the bottleneck",
    Verdict.NEITHER: "Neither the model nor the data holds the metric back by much",
    Verdict.UNKNOWN: "Whether the model or the data is the bottleneck cannot be told yet",
}


def describe_findings(findings: Findings) -> tuple[str, ...]:
    """Say what was found.

    Parameters
    ----------
    findings
        With or without their sentences.

    Returns
    -------
    tuple of str
        The sentences, the first with the reasons where nothing is claimed.
    """
    reasons = "; ".join(findings.reasons)
    if findings.best is None:
        return (f"Nothing can be claimed: {reasons}.",)
    sentences = []
    if reasons:
        sentences.append(
            f"Nothing can be claimed: {reasons}. The predictions below are shown with their "
            "intervals, and are no advice."
        )
    sentences += [
        _describe_metric(name, findings.metrics[name], findings.best, findings.level)
        for name in METRICS
    ]
    sentences.append(_describe_bottleneck(findings))
    if findings.next:
        sentences.append(_describe_next(findings.next[0]))
    return tuple(sentences)


def _describe_metric(name: str, metric: MetricFindings, best: Size, level: float) -> str:
    end = metric.curves["d_emb"].iloc[-1]
    runs = metric.measured
    same_size = (runs["n_layers"] == best.n_layers) & (runs["d_emb"] == best.d_emb)
    value = runs.loc[same_size & (runs["data"] == 1), "value"].mean()
    return (
        f"{name}: the pilot's best configuration by validation, N = {best.n_layers} and "
        f"d = {best.d_emb}, has {value:.4f}; with d = {end['x']:.0f}, four times the pilot's "
        f"largest, {end['predicted']:.4f} is expected ({100 * level:.0f} % interval for one run: "
        f"{end['low']:.4f} to {end['high']:.4f})."
    )


def _describe_bottleneck(findings: Findings) -> str:
    changes = ", ".join(
        f"the {AXIS_LABELS[axis]} {gain.change:+.1f} % ({gain.low:+.1f} to {gain.high:+.1f})"
        for axis, gain in findings.metrics[METRICS[0]].doublings.items()
    )
    bottleneck = findings.bottleneck
    return (
        f"{VERDICTS[bottleneck.verdict]}: {bottleneck.why}. Doubled, each brings in NDCG@10: "
        f"{changes}."
    )


def _describe_next(run: NextRun) -> str:
    if run.chance < 0.1:
        lead = "None of the next sizes is likely to be better; the first to try would be"
    elif run.chance < 0.5:
        lead = "No next size is likelier than not to be above all of the pilot; the best chance has"
    else:
        lead = "To train next:"
    return (
        f"{lead} N = {run.n_layers}, d = {run.d_emb}, about {format_duration(run.seconds)} here; "
        f"expected above all of the pilot with a probability of {format_percent(run.chance)}."
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
