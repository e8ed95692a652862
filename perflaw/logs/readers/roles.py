"""Which column holds the users, which the items, and which the times."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from perflaw.errors import InputError
from perflaw.logs.readers.number_times import DAY
from perflaw.logs.readers.options import ORDER, ROLES, Reading, clip, join_names
from perflaw.logs.readers.times import Fineness, Resolution

NOUNS = {  # what a row is about; ids before names, the first that is there is taken
    "user": "user visitor customer reviewer member client buyer account session",
    "item": "item product movie book track song video article asin parentasin sku stockcode "
    "venue poi location business game app aid song artist news",
}
SHORT = {"user": ("uid", "userno"), "item": ("iid", "itemno")}
LISTED = "item product movie book track song video article"  # nouns of columns of lists
TIMES = [
    "timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "unixtimestamp", "unixtime",
    "epoch", "eventtime", "eventtimestamp", "eventdate", "createdat", "utctime", "invoicedate",
    "timestampms", "timems", "timestamps", "times",
]  # fmt: skip
FINE = re.compile(
    r"(?:unix|event|utc)?(?:time|timestamp|ts)(?:ms|us|ns|millis|micros|nanos|s|sec)?"
)
ENDING = re.compile(r"[_ .-](?i:at|date|time|timestamp)$|[a-z](?:At|Date|Time|Timestamp)$")
ABOUT_OTHERS = re.compile(  # dates of a thing or a person, not of what happened
    r"birth|releas|publi|expir|sign.?up|regist|join|updat|modif|launch|death", re.IGNORECASE
)
HOURS = re.compile(r"hours?|hr|hh|hourofday|minutes?|seconds?")
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


def list_stem(name: str) -> str | None:
    """Return a column's name without its word for a list, such as `_seq`; None without such."""
    name = name.strip().lower()
    stem = LIST_WORDS.sub("", name)
    return None if stem == name else stem


def _known_names(role: str) -> list[str]:
    """Return names of a role without case and punctuation, the best first."""
    if role == "time":
        return TIMES
    names: list[str] = []
    for noun in NOUNS[role].split():
        names += [f"{noun}id", f"{noun}uuid", f"{noun}key"]
        if noun == role:
            names += SHORT[role]
        names.append(noun)
    if role == "item":
        for noun in LISTED.split():
            names += [f"sequence{noun}ids", f"{noun}idlist", f"{noun}ids", f"{noun}s"]
        names += LISTS
    return names


KNOWN = {role: _known_names(role) for role in ROLES}
ROLE_OF = {name: role for role in reversed(ROLES) for name in KNOWN[role]}


def role_of(name: str) -> str | None:
    """Return the role that a column of this name is likely to have, or None."""
    return next((ROLE_OF[form] for form in _forms(name) if form in ROLE_OF), None)


def _forms(name: str) -> tuple[str, str]:
    """Return a column's plain name, and that without its word for a list."""
    plain, stem = plain_name(name), list_stem(name)
    return plain, plain if stem is None else plain_name(stem)


def choose_roles(
    names: Sequence[str], reading: Reading, resolution: Callable[[int], Fineness]
) -> Roles:
    """Find the columns of users, items and times.

    Parameters
    ----------
    names : sequence of str
        Of all columns, "" for one without a name.
    resolution : callable
        position → how fine a column's times are; asked where names do not say which column is
        the time.

    Raises
    ------
    InputError
        Where a column that is named is not there or is there twice, or none can be guessed.
    """
    label, options = reading.label, reading.options
    user = choose_column("user", names, reading)
    item = choose_column("item", names, reading)
    clock_time = None
    if options.time is not None:
        time: int | None = _named_column("time", options.time, names, label)
    else:
        time, clock_time = _guess_time(names, (user, item), reading, resolution)
    roles = Roles(user, item, time, clock_time)
    by_role = roles.by_role
    if len(set(by_role.values())) < len(by_role):
        pairs = ", ".join(f"{role}={names[place]}" for role, place in by_role.items())
        raise InputError(f"{label}: one column cannot be two of {clip(pairs, 120)}; name another")
    if time is None:
        for name in ("time_format", "timezone", "unit"):
            value = getattr(options, name)
            if value not in (None, ORDER):
                raise InputError(
                    f"{label}: {name}={value!r} is for times, and no column of times is found; "
                    "name it with time="
                )
    if time is not None and clock_time is None:
        _note_hours(names, time, resolution, reading)
    if unnamed := sum(not name for name in names):
        columns = "a column without a name is" if unnamed == 1 else f"{unnamed} unnamed columns are"
        reading.findings.note(f"columns: {columns} left out")
    return roles


def choose_column(role: str, names: Sequence[str], reading: Reading) -> int:
    """Return the position of the column of users or items: the one that is named, or a guess."""
    label = reading.label
    given = reading.options.named[role]
    if given is not None:
        return _named_column(role, given, names, label)
    forms = [_forms(name) for name in names]
    for known in KNOWN[role]:
        for kind in (0, 1):  # plain names, then stems
            places = [place for place, form in enumerate(forms) if form[kind] == known]
            if not places:
                continue
            _refuse_two(role, names, places, label)
            reading.findings.guess(f"{role}: column {clip(names[places[0]])!r}, by its name")
            return places[0]
    present = join_names([name for name in names if name]) or "its columns"
    raise InputError(f"{label}: which column holds the {role}? With {role}= name one of {present}")


def _named_column(role: str, given: str, names: Sequence[str], label: str) -> int:
    places = [place for place, name in enumerate(names) if name == given]
    if not places:
        present = join_names([name for name in names if name])
        raise InputError(f"{label} has no column {clip(given)!r} for {role}; it has {present}")
    if len(places) > 1:
        raise InputError(f"{label} has the column {clip(given)!r} twice: rename one")
    return places[0]


def _refuse_two(role: str, names: Sequence[str], places: Sequence[int], label: str) -> None:
    """Raise InputError if more than one column may hold a role."""
    if len(places) < 2:
        return
    first, second = (names[place] for place in places[:2])
    if first == second:
        raise InputError(f"{label} has the column {first!r} twice: rename one")
    raise InputError(
        f"{label}: {first!r} and {second!r} may both hold the {role}; name one with {role}="
    )


# ---------------------------------------------------------------- times


def _note_hours(
    names: Sequence[str], time: int, resolution: Callable[[int], Fineness], reading: Reading
) -> None:
    """Note columns of hours or minutes that are not read, beside times that are whole days."""
    finer = [name for name in names if HOURS.fullmatch(plain_name(name))]
    if not finer:
        return
    fineness = resolution(time)
    if isinstance(fineness, Resolution) and fineness.step >= DAY:
        reading.findings.note(
            f"times: whole days; {join_names(finer)} beside them is not read: write date and time "
            "of day into one column"
        )


def _guess_time(
    names: Sequence[str],
    taken: Collection[int],
    reading: Reading,
    resolution: Callable[[int], Fineness],
) -> tuple[int | None, int | None]:
    """Return the positions of the column of times, and of times of day to be added to it."""
    findings = reading.findings
    candidates = _time_candidates(names, taken)
    known = [place for place in candidates if _is_known_time(names[place])]
    if not known:
        if len(candidates) == 1:
            place = candidates[0]
            findings.guess(f"time: column {clip(names[place])!r}, by the end of its name")
            return place, None
        dates = None if candidates else _only_dates(names, taken, resolution)
        if dates is not None:
            findings.guess(f"time: column {clip(names[dates])!r}, the only one of dates")
            return dates, None
        unused = [name for place, name in enumerate(names) if name and place not in taken]
        hint = f" (a time may be named; not used: {join_names(unused)})" if unused else ""
        findings.guess(f"time: none; the order of rows is the order of each history{hint}")
        return None, None
    first = plain_name(names[known[0]])
    alike = [place for place in known if plain_name(names[place]) == first]
    _refuse_two("time", names, alike, reading.label)
    return _finest(names, known, {place: resolution(place) for place in candidates}, reading)


def _time_candidates(names: Sequence[str], taken: Collection[int]) -> list[int]:
    """Return the columns that may hold times by their names, the likeliest first."""
    free = [place for place, name in enumerate(names) if name and place not in taken]
    forms = {place: _forms(names[place]) for place in free}
    known = [place for time in TIMES for place in free if time in forms[place]]
    known += [place for place in free if FINE.fullmatch(forms[place][0])]
    ending = [p for p in free if ENDING.search(names[p]) and not ABOUT_OTHERS.search(names[p])]
    return list(dict.fromkeys(known + ending))


def _is_known_time(name: str) -> bool:
    plain, stem = _forms(name)
    return plain in TIMES or stem in TIMES or FINE.fullmatch(plain) is not None


def _only_dates(
    names: Sequence[str], taken: Collection[int], resolution: Callable[[int], Fineness]
) -> int | None:
    """Return the position of the only column of dates, if it may be of what happened."""
    dates = []
    for place, name in enumerate(names):
        if name and place not in taken:
            fineness = resolution(place)
            if isinstance(fineness, Resolution) and fineness.all_dates:
                dates.append(place)
    if len(dates) == 1 and not ABOUT_OTHERS.search(names[dates[0]]):
        return dates[0]
    return None


def _finest(
    names: Sequence[str], known: list[int], fineness: dict[int, Fineness], reading: Reading
) -> tuple[int, int | None]:
    """Return, of columns that may be the time, the finest that agrees with the first."""
    label, findings = reading.label, reading.findings
    clocks = [place for place, fine in fineness.items() if fine == "clock"]
    moments = {place: fine for place, fine in fineness.items() if isinstance(fine, Resolution)}
    dates = [place for place, fine in moments.items() if fine.step >= DAY]
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
    first = next(place for place in [*known, *moments] if place not in clocks)
    if first not in moments and moments:
        raise InputError(
            f"{label}: {clip(names[first])!r} or {clip(names[next(iter(moments))])!r} may be the "
            "time; name one with time="
        )
    best = first
    for place, fine in moments.items():
        if fine.step < moments[best].step and (place in known or _agree(fine, moments[first])):
            best = place
    why = "by its name" if best == first else f"finer than {clip(names[first])!r}"
    findings.guess(f"time: column {clip(names[best])!r}, {why}")
    return best, None


def _agree(one: Resolution, other: Resolution) -> bool:
    """Return whether these are times of the same events, as far as days and time zones tell."""
    if len(one.seconds) != len(other.seconds):
        return False
    return bool(np.abs(one.seconds - other.seconds).max() <= 2 * DAY)
