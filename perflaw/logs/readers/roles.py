"""Which column holds the users, which the items, and which the times."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.readers.number_times import DAY
from perflaw.logs.readers.options import ORDER, ROLES, Findings, ReadOptions, clip, join_names
from perflaw.logs.readers.times import Resolution

NOUNS = {  # what a row is about; ids before names, the first that is there is taken
    "user": "user visitor customer reviewer member client buyer account session",
    "item": "item product movie book track song video article asin parentasin sku stockcode "
    "venue poi location business game app aid song artist news",
}
SHORT = {"user": ("uid", "userno"), "item": ("iid", "itemno")}
TIMES = [
    "timestamp",
    "time",
    "ts",
    "datetime",
    "date",
    "unixreviewtime",
    "unixtimestamp",
    "unixtime",
    "epoch",
    "eventtime",
    "eventtimestamp",
    "eventdate",
    "createdat",
    "utctime",
    "invoicedate",
    "timestampms",
    "timems",
    "timestamps",
    "times",
]
ENDING = re.compile(r"[_ .-](?i:at|date|time|timestamp)$|[a-z](?:At|Date|Time|Timestamp)$")
ABOUT_OTHERS = re.compile(  # dates of a thing or a person, not of what happened
    r"birth|releas|publi|expir|sign.?up|regist|join|updat|modif|launch|death", re.IGNORECASE
)
LIST_WORDS = re.compile(r"^(?:sequence|seq|hist|history|list)_?|_?(?:sequence|seq|history|list)$")
LISTS = ("sequence", "history", "itemsequence", "itemhistory", "itemlist", "itemseq")


@dataclass(frozen=True)
class Roles:
    """Positions of the columns that are read.

    Attributes
    ----------
    user, item : int
    time : int or None
    clock_time : int or None
        A column of times of day that belongs to the dates of `time`.
    last_item : int or None
        A column of the item that comes after each list of `item`.
    """

    user: int
    item: int
    time: int | None = None
    clock_time: int | None = None
    last_item: int | None = None

    @property
    def by_role(self) -> dict[str, int]:
        """The positions of users, items and, where there are some, times."""
        places = zip(ROLES, (self.user, self.item, self.time), strict=True)
        return {role: place for role, place in places if place is not None}

    @property
    def picked(self) -> list[int]:
        """The positions in use, without those that are None."""
        places = (self.user, self.item, self.time, self.clock_time, self.last_item)
        return [place for place in places if place is not None]


def plain_name(name: str) -> str:
    """Return a column's name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _known_names(role: str) -> list[str]:
    """Names of a role without case and punctuation, the best first."""
    if role == "time":
        return list(TIMES)
    names: list[str] = []
    for noun in NOUNS[role].split():
        names += [f"{noun}id", f"{noun}uuid", f"{noun}key", noun]
        if noun == role:
            names[3:3] = list(SHORT[role])
    if role == "item":
        for noun in ("item", "product", "movie", "book", "track", "song", "video", "article"):
            names += [f"sequence{noun}ids", f"{noun}idlist", f"{noun}ids", f"{noun}s"]
        names += LISTS
    return names


KNOWN = {role: _known_names(role) for role in ROLES}
ROLE_OF = {name: role for role in reversed(ROLES) for name in KNOWN[role]}


def role_of(name: str) -> str | None:
    """Return the role that a column of this name is likely to have, or None."""
    plain = plain_name(name)
    if plain in ROLE_OF:
        return ROLE_OF[plain]
    stem = plain_name(LIST_WORDS.sub("", name.strip().lower()))
    return ROLE_OF.get(stem) if stem else None


def choose_roles(
    label: str,
    names: Sequence[str],
    options: ReadOptions,
    findings: Findings,
    resolution: Callable[[int], Resolution | str | None],
) -> Roles:
    """Find the columns of users, items and times.

    Parameters
    ----------
    names : sequence of str
        Of all columns, "" for one without a name.
    resolution : callable
        position → the step of a column's times in seconds, "clock" for times of day, None if
        it holds no times; asked where names do not say which column is the time.

    Raises
    ------
    InputError
        Where a column that is named is not there or is there twice, or none can be guessed.
    """
    chosen: dict[str, int] = {}
    for role in ("user", "item"):
        name = getattr(options, role)
        place = _named(label, names, role, name) if name is not None else None
        chosen[role] = _guessed(label, names, role, findings) if place is None else place
    clock_time = None
    if options.time is not None:
        time: int | None = _named(label, names, "time", options.time)
    else:
        time, clock_time = _guess_time(label, names, chosen, findings, resolution)
    places = [chosen["user"], chosen["item"], time]
    if len({place for place in places if place is not None}) < 3 - (time is None):
        said = ", ".join(f"{r}={names[p]}" for r, p in zip(ROLES, places) if p is not None)
        raise InputError(f"{label}: one column cannot be two of {clip(said, 120)}; name another")
    if time is None:
        for name in ("time_format", "timezone", "unit"):
            if (value := getattr(options, name)) is not None and value != ORDER:
                raise InputError(
                    f"{label}: {name}={value!r} is for times, and no column of times is found; "
                    "name "
                    "it with time="
                )
    if unnamed := sum(not name for name in names):
        many = "a column without a name is" if unnamed == 1 else f"{unnamed} unnamed columns are"
        findings.note(f"columns: {many} left out")
    return Roles(chosen["user"], chosen["item"], time, clock_time)


def _named(label: str, names: Sequence[str], role: str, name: str) -> int:
    places = [place for place, each in enumerate(names) if each == name]
    if not places:
        has = join_names([each for each in names if each])
        raise InputError(f"{label} has no column {clip(name)!r} for {role}; it has {has}")
    if len(places) > 1:
        raise InputError(f"{label} has the column {clip(name)!r} twice: rename one")
    return places[0]


def _guessed(label: str, names: Sequence[str], role: str, findings: Findings) -> int:
    plain = [plain_name(name) for name in names]
    stems = [plain_name(LIST_WORDS.sub("", name.strip().lower())) for name in names]
    for known in KNOWN[role]:
        for written in (plain, stems):
            places = [place for place, name in enumerate(written) if name == known and name]
            if not places:
                continue
            if len(places) > 1 and len({names[place] for place in places}) == 1:
                raise InputError(f"{label} has the column {names[places[0]]!r} twice: rename one")
            if len(places) > 1:
                both = " and ".join(repr(names[place]) for place in places[:2])
                raise InputError(f"{label}: {both} may both hold the {role}; name one with {role}=")
            findings.guess(f"{role}: column {clip(names[places[0]])!r}, by its name")
            return places[0]
    has = join_names([name for name in names if name])
    raise InputError(
        f"{label}: which column holds the {role}? With {role}= name one of {has or 'its columns'}"
    )


FINE = re.compile(
    r"(?:unix|event|utc)?(?:time|timestamp|ts)(?:ms|us|ns|millis|micros|nanos|s|sec)?"
)


def time_candidates(names: Sequence[str], taken: Collection[int] = ()) -> list[int]:
    """Columns that may hold times by their names, the likeliest first."""
    free = [place for place, name in enumerate(names) if name and place not in taken]
    plain = {place: plain_name(names[place]) for place in free}
    stems = {p: plain_name(LIST_WORDS.sub("", names[p].strip().lower())) for p in free}
    known = [p for name in TIMES for p in free if name in (plain[p], stems[p])]
    known += [p for p in free if FINE.fullmatch(plain[p])]
    ending = [p for p in free if ENDING.search(names[p]) and not ABOUT_OTHERS.search(names[p])]
    return list(dict.fromkeys(known + ending))


def _guess_time(
    label: str,
    names: Sequence[str],
    chosen: dict[str, int],
    findings: Findings,
    resolution: Callable[[int], Resolution | str | None],
) -> tuple[int | None, int | None]:
    """Positions of the column of times, and of times of day to be added to it."""
    taken = tuple(chosen.values())
    candidates = time_candidates(names, taken)
    known = [p for p in candidates if _is_known_time(names[p])]
    if not known:
        if len(candidates) == 1:
            place = candidates[0]
            findings.guess(f"time: column {clip(names[place])!r}, by the end of its name")
            return place, None
        dates = None if candidates else _only_dates(names, taken, resolution)
        if dates is not None:
            findings.guess(f"time: column {clip(names[dates])!r}, the only one of dates")
            return dates, None
        _say_no_time(names, taken, findings)
        return None, None
    same = [p for p in known if plain_name(names[p]) == plain_name(names[known[0]])]
    if len(same) > 1:
        if names[same[0]] == names[same[1]]:
            raise InputError(f"{label} has the column {names[same[0]]!r} twice: rename one")
        both = " and ".join(repr(names[p]) for p in same[:2])
        raise InputError(f"{label}: {both} may both hold the time; name one with time=")
    found = {place: resolution(place) for place in candidates}
    return _finest(label, names, known, found, findings)


def _only_dates(
    names: Sequence[str],
    taken: Collection[int],
    resolution: Callable[[int], Resolution | str | None],
) -> int | None:
    """Position of the only column of dates, if it may be of what happened."""
    free = [place for place, name in enumerate(names) if name and place not in taken]
    found = {place: resolution(place) for place in free}
    dates = [p for p, each in found.items() if isinstance(each, Resolution) and each.all_dates]
    if len(dates) == 1 and not ABOUT_OTHERS.search(names[dates[0]]):
        return dates[0]
    return None


def _is_known_time(name: str) -> bool:
    plain = plain_name(name)
    stem = plain_name(LIST_WORDS.sub("", name.lower()))
    return plain in TIMES or stem in TIMES or FINE.fullmatch(plain) is not None


def _finest(
    label: str,
    names: Sequence[str],
    known: list[int],
    found: dict[int, Resolution | str | None],
    findings: Findings,
) -> tuple[int, int | None]:
    """Of columns that may be the time the finest that agrees with the first."""
    clocks = [p for p in found if found[p] == "clock"]
    fine = {p: each for p, each in found.items() if isinstance(each, Resolution)}
    moments = list(fine)
    dates = [p for p in moments if fine[p].step >= DAY]
    if clocks and len(dates) == len(moments):
        if len(dates) == 1 and len(clocks) == 1:
            findings.guess(
                f"time: columns {clip(names[dates[0]])!r} and {clip(names[clocks[0]])!r} together, "
                "by their names and what they hold"
            )
            return dates[0], clocks[0]
        raise InputError(
            f"{label}: {clip(names[clocks[0]])!r} holds times of day; with time= name a column of "
            "dates, or write date and time into one column"
        )
    first = next((p for p in known if p not in clocks), moments[0] if moments else known[0])
    if first not in moments and moments:
        raise InputError(
            f"{label}: {clip(names[first])!r} or {clip(names[moments[0]])!r} may be the time; name "
            "one with time="
        )
    best = first
    for place in moments:
        trusted = place in known or _agree(fine[place], fine[first])
        if fine[place].step < fine[best].step and trusted:
            best = place
    why = "by its name" if best == first else f"finer than {clip(names[first])!r}"
    findings.guess(f"time: column {clip(names[best])!r}, {why}")
    return best, None


def _agree(one: Resolution, other: Resolution) -> bool:
    """Return whether these are times of the same events, as far as days and time zones tell."""
    if len(one.seconds) != len(other.seconds):
        return False
    return bool(np.abs(one.seconds - other.seconds).max() <= 2 * DAY)


def _say_no_time(names: Sequence[str], taken: Collection[int], findings: Findings) -> None:
    unused = [name for place, name in enumerate(names) if name and place not in taken]
    hint = f" (a time may be named; not used: {join_names(unused)})" if unused else ""
    findings.guess(f"time: none; the order of rows is the order of each history{hint}")
