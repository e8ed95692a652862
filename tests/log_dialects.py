"""Logs drawn at random, written in a dialect drawn at random: what is written is known.

A drawn log is a table of users, items and times, and the histories that it holds. `write` puts
it into a file in one of many ways. Whoever reads the file gets these histories, or refuses it.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

WORDS = ["alpha", "beta", "gamma", "zoë", "日本", "naïve", "Ωmega", "x-1", "y_2", "Straße"]
TRICKY = [
    "NA",
    "null",
    "true",
    "1e5",
    "0x10",
    "1.5",
    "007",
    "+7",
    "-0",
    "2020-01-01",
    "u'1",
    "a\\b",
]
SPACED = ["the beatles", "new order", "a  b", "x, y", "semi;colon", "b|c", "colon::s", "hash#"]
QUOTES = ['12" vinyl', 'say "hi"', "it's", '"', 'end"']
USER_NAMES = [
    "user",
    "user_id",
    "userId",
    "UserID",
    "uid",
    "visitor_id",
    "customer",
    "reviewerID",
    "session_id",
]
ITEM_NAMES = [
    "item",
    "item_id",
    "itemId",
    "movieId",
    "product_id",
    "asin",
    "sku",
    "track_id",
    "business_id",
]
TIME_NAMES = [
    "timestamp",
    "time",
    "ts",
    "datetime",
    "date",
    "event_time",
    "created_at",
    "unixReviewTime",
]
DELIMITERS = [",", "\t", ";", "|", "::", " "]


@dataclass
class DrawnLog:
    """A table, and what it says.

    Attributes
    ----------
    users, items : list of str
    times : list of str or None
        As they are written.
    seconds : list of float or None
        What they mean; None where they are no clock times.
    keys : list
        What orders them.
    options : dict
        What a reader has to be told.
    """

    users: list[str]
    items: list[str]
    times: list[str] | None
    seconds: list[float] | None
    keys: list
    options: dict = field(default_factory=dict)

    def histories(self) -> dict[str, list[str]]:
        """The items of each user in order."""
        found: dict[str, list[tuple]] = {}
        for row, user in enumerate(self.users):
            found.setdefault(user, []).append((self.keys[row], row))
        return {user: [self.items[row] for _, row in sorted(rows)] for user, rows in found.items()}

    def clock(self) -> dict[str, list[float]] | None:
        """The times of each user in order, in seconds."""
        if self.seconds is None:
            return None
        found: dict[str, list[float]] = {}
        for user, second in zip(self.users, self.seconds, strict=True):
            found.setdefault(user, []).append(second)
        return {user: sorted(seconds) for user, seconds in found.items()}


# ---------------------------------------------------------------- what is in it


def draw_ids(rng, n: int, plain: bool) -> list[str]:
    """Some ids of one kind; plain: without spaces, quotes and delimiters."""
    kind = rng.choice(["small", "wide", "words", "codes", "mixed", "tricky", "spaced", "quotes"])
    size = int(rng.integers(1, 9))
    if kind == "small":
        pool = [str(k) for k in rng.choice(50, size, replace=False)]
    elif kind == "wide":
        pool = [
            str(int(k) + 2 ** int(rng.choice([31, 53, 62, 63])))
            for k in rng.integers(99, size=size)
        ]
    elif kind == "codes":
        pool = [f"B00{k:07X}" for k in rng.integers(10**6, size=size)]
    elif kind == "words":
        pool = list(rng.choice(WORDS, min(size, len(WORDS)), replace=False))
    else:
        extra = {"mixed": ["7", "07"], "tricky": TRICKY, "spaced": SPACED, "quotes": QUOTES}[kind]
        if plain and kind in ("spaced", "quotes"):
            extra = ["a.b", "c-d"]
        pool = list(rng.choice(WORDS, 3, replace=False)) + list(
            rng.choice(extra, min(size, len(extra)))
        )
    return [str(x) for x in rng.choice(pool, n)]


TIMES = [
    "none",
    "s",
    "ms",
    "us",
    "ns",
    "decimals",
    "order",
    "iso",
    "zulu",
    "offset",
    "nano",
    "days",
    "minutes",
    "slashes",
    "filetime",
    "ticks",
    "dayfirst",
    "local",
    "compact",
]
DATES = {  # how they are written, what a reader must know, and seconds that they are ahead
    "iso": ("%Y-%m-%d %H:%M:%S", {}, 0),
    "zulu": ("%Y-%m-%dT%H:%M:%SZ", {}, 0),
    "offset": ("%Y-%m-%dT%H:%M:%S+05:30", {}, 19_800),
    "slashes": ("%Y/%m/%d %H:%M:%S", {}, 0),
    "compact": ("%Y%m%dT%H%M%SZ", {}, 0),
    "dayfirst": ("%d/%m/%y %H:%M:%S", {"time_format": "%d/%m/%y %H:%M:%S"}, 0),
    "local": ("%Y-%m-%d %H:%M:%S", {"timezone": "Asia/Kolkata"}, 19_800),
}


def draw_times(rng, n: int):
    """How times are written, what they mean, what orders them, and what a reader must know."""
    kind = rng.choice(TIMES)
    start = int(rng.integers(1_100_000_000, 1_700_000_000))
    offsets = rng.integers(0, int(rng.choice([3, 1000, 10**7])), n)
    seconds = [start + int(k) for k in offsets]
    moments = [datetime.fromtimestamp(s, UTC) for s in seconds]
    fine = [int(k) for k in rng.integers(0, 10**9, n)]
    if kind == "none":
        return None, None, list(range(n)), {}
    if kind == "order":
        return [str(k) for k in offsets % 90], None, [int(k) % 90 for k in offsets], {}
    if kind in ("s", "ms", "us", "ns"):
        digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind]
        parts = [f // 10 ** (9 - digits) for f in fine]
        texts = [
            f"{s}{p:0{digits}}" if digits else str(s) for s, p in zip(seconds, parts, strict=True)
        ]
        return texts, [int(t) / 10**digits for t in texts], [int(t) for t in texts], {}
    if kind == "decimals":
        texts = [f"{s}.{f // 10**6:03}" for s, f in zip(seconds, fine, strict=True)]
        return (
            texts,
            [float(t) for t in texts],
            [(s, f // 10**6) for s, f in zip(seconds, fine, strict=True)],
            {},
        )
    if kind == "nano":
        texts = [f"{m:%Y-%m-%dT%H:%M:%S}.{f:09}Z" for m, f in zip(moments, fine, strict=True)]
        both = list(zip(seconds, fine, strict=True))
        return texts, [s + f / 1e9 for s, f in both], both, {}
    if kind == "days":
        days = [s // 86_400 * 86_400 for s in seconds]
        return [f"{datetime.fromtimestamp(d, UTC):%Y-%m-%d}" for d in days], days, days, {}
    if kind == "minutes":
        minutes = [s // 60 * 60 for s in seconds]
        return (
            [f"{datetime.fromtimestamp(m, UTC):%Y%m%d%H%M}" for m in minutes],
            minutes,
            minutes,
            {},
        )
    if kind == "filetime":
        return [str((s + 11_644_473_600) * 10**7) for s in seconds], seconds, seconds, {}
    if kind == "ticks":
        return [str((s + 62_135_596_800) * 10**7) for s in seconds], seconds, seconds, {}
    form, options, shift = DATES[kind]
    texts = [f"{m + timedelta(seconds=shift):{form}}" for m in moments]
    return texts, seconds, seconds, options


def draw_log(rng, plain: bool = False) -> DrawnLog:
    """A log of up to 30 rows."""
    n = int(rng.integers(1, 31))
    times, seconds, keys, options = draw_times(rng, n)
    return DrawnLog(
        draw_ids(rng, n, plain), draw_ids(rng, n, plain), times, seconds, keys, dict(options)
    )


# ---------------------------------------------------------------- how it is written


def write(rng, log: DrawnLog, packed: bool = True) -> tuple[bytes, str, dict]:
    """The bytes of a file, what dialect it is in, and what a reader has to be told."""
    delimiter = str(rng.choice(DELIMITERS))
    quoting = str(rng.choice(["minimal", "all", "none"]))
    if not can_carry(log, delimiter, quoting):
        delimiter, quoting = ",", "minimal"
    if len(delimiter) > 1 or (delimiter in "\t " and quoting == "minimal"):
        quoting = "none"
    names, columns, options = draw_columns(rng, log, delimiter)
    header = bool(rng.random() < 0.8)
    clock = log.seconds is not None and not set(log.options) & {"time_format"}
    if not header and (options or len(names) > 3 or (log.times and not clock)):
        options = {k: v for k, v in options.items() if k not in ("user", "item", "time")}
        places = {role: k for k, (role, _) in enumerate(columns, 1)}
        options |= {"user": places["user"], "item": places["item"], "header": False}
        options |= {"time": places["time"]} if log.times else {}
    elif not header:
        order = {"user": 0, "item": 1, "time": 2}
        columns.sort(key=lambda pair: order.get(pair[0], 3))
        options["header"] = False
    rows = [list(cells) for cells in zip(*[cells for _, cells in columns], strict=True)]
    table = ([names] if header else []) + rows
    text = to_text(table, delimiter, quoting)
    end = str(rng.choice(["\n", "\r\n"]))
    text = text.replace("\n", end)
    if rng.random() < 0.2:
        text = text.removesuffix(end)
    if rng.random() < 0.1:
        text = end + text
    if rng.random() < 0.3:
        options["delimiter"] = delimiter
    encoding = str(rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    packing = str(rng.choice(["plain", "plain", "gzip", "zstd", "bz2", "xz"]))
    packing = packing if packed else "plain"
    dialect = f"{delimiter!r} {quoting} header={header} {encoding} {packing} {end!r}"
    return pack(text.encode(encoding), packing), dialect, options | log.options


def can_carry(log: DrawnLog, delimiter: str, quoting: str) -> bool:
    """Is there one reading of this log with such a delimiter and such quotes?"""
    cells = [*log.users, *log.items, *(log.times or ()), "bad, very", 'so "so"', "x y"]
    if delimiter == " ":
        return quoting == "none" and not any(" " in cell for cell in cells[:-3])
    if len(delimiter) > 1 or delimiter == "\t" or quoting == "none":
        within = any(delimiter in cell for cell in cells)
        wrapped = delimiter in ",;|" and any(cell.startswith('"') for cell in cells)
        return not within and not wrapped and not (delimiter == "\t" and quoting == "minimal")
    return True


def draw_columns(rng, log: DrawnLog, delimiter: str):
    """Names and columns in an order drawn at random, some of them of no use."""
    options = {}
    columns = [("user", log.users), ("item", log.items)] + (
        [("time", log.times)] if log.times else []
    )
    names = {
        role: str(rng.choice(pool))
        for role, pool in (("user", USER_NAMES), ("item", ITEM_NAMES), ("time", TIME_NAMES))
    }
    if rng.random() < 0.2:
        names = {"user": "who", "item": "what_is_it", "time": "select"}
        options = {role: names[role] for role, _ in columns}
    if rng.random() < 0.3:
        n = len(log.users)
        extra = [
            ("rating", [str(k) for k in rng.integers(1, 6, n)]),
            ("", [str(k) for k in range(n)]),
            (
                "remark",
                [str(x) for x in rng.choice(["good", "bad, very", 'so "so"', "", "x y"], n)],
            ),
        ]
        columns.append(extra[rng.integers(len(extra) - (delimiter == " "))])
    order = rng.permutation(len(columns))
    columns = [columns[k] for k in order]
    return [names.get(role, role) for role, _ in columns], columns, options


def to_text(table, delimiter: str, quoting: str) -> str:
    """Lines of a table."""
    if quoting == "none":
        return "".join(delimiter.join(row) + "\n" for row in table)
    buffer = io.StringIO()
    how = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL}[quoting]
    csv.writer(buffer, delimiter=delimiter, quoting=how, lineterminator="\n").writerows(table)
    return buffer.getvalue()


def pack(content: bytes, packing: str) -> bytes:
    """The bytes packed."""
    if packing == "zstd":
        import zstandard

        return zstandard.compress(content)
    return {"plain": bytes, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[
        packing
    ](content)


def write_other(rng, log: DrawnLog) -> tuple[bytes, str, dict]:
    """The log as JSON lines, as a list a user in JSON or in cells, or as a line a user."""
    kind = str(rng.choice(["json", "events", "lists", "sequences"]))
    stamped = log.times is not None
    if kind == "json":
        names = (
            str(rng.choice(USER_NAMES)),
            str(rng.choice(ITEM_NAMES)),
            str(rng.choice(TIME_NAMES)),
        )
        cells = (log.users, log.items, log.times) if stamped else (log.users, log.items)
        records = [
            dict(zip(names, map(_number, row), strict=False)) for row in zip(*cells, strict=True)
        ]
        return _json(records), kind, log.options
    groups: dict[str, list[int]] = {}
    for row, user in enumerate(log.users):
        groups.setdefault(user, []).append(row)
    if kind == "events":
        records = [
            {"session": _number(user), "events": [
                {"aid": _number(log.items[r])} | ({"ts": _number(log.times[r])} if stamped else {})
                for r in rows
            ]}
            for user, rows in groups.items()
        ]  # fmt: skip
        return _json(records), kind, log.options
    if kind == "sequences":
        text = "".join(
            " ".join([user, *[log.items[r] for r in rows]]) + "\n" for user, rows in groups.items()
        )
        log.times = log.seconds = None
        log.keys = list(range(len(log.users)))
        return text.encode(), kind, {"layout": "sequences"}
    table = [["user_id", "item_list", "timestamp_list"][: 2 + stamped]]
    for user, rows in groups.items():
        cells = [log.items, log.times][: 1 + stamped]
        table.append([user, *[json.dumps([_number(column[r]) for r in rows]) for column in cells]])
    return to_text(table, ",", "minimal").encode(), kind, log.options


def _number(text: str):
    plain = text.removeprefix("-")
    return int(text) if plain.isdigit() and plain.isascii() and str(int(text)) == text else text


def _json(records) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


# ---------------------------------------------------------------- what is read from it


def compare(log, drawn: DrawnLog) -> str | None:
    """What differs between a log that was read and the one that was drawn; None if nothing does."""
    found = {
        str(name): [str(log.item_ids[i]) for i in log.history(user)]
        for user, name in enumerate(log.user_ids)
    }
    if found != drawn.histories():
        return f"histories: {found} and not {drawn.histories()}"
    clock = drawn.clock()
    if (clock is None) != (log.timestamps is None):
        return f"a clock: {log.timestamps is not None} and not {clock is not None}"
    if clock is not None:
        for user, name in enumerate(log.user_ids):
            seconds = log.timestamps[log.offsets[user] : log.offsets[user + 1]]
            if not np.allclose(seconds, clock[str(name)], rtol=0, atol=1e-6):
                return f"times of {name}: {seconds} and not {clock[str(name)]}"
    return None
