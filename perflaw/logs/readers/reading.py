"""Any common file of interactions → users, items and times in arrays.

DuckDB reads, sorts and spills to disk where memory is short. It was chosen by measurement
(README, "Speed"): of pandas, NumPy, Polars and DuckDB it is the one whose time per row does
not grow from a million to 100 million rows and whose memory can be bounded, and its CSV
reader names the row at fault.

What is read is exact: ids are text unless all of them are plain whole numbers, so "007" is
not 7, and "NA" is an id. Whatever is guessed comes back as a word about it.
"""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pandas as pd
import zstandard

from perflaw.errors import InputError

MEMORY = "1GB"  # of DuckDB's own; beyond it, it writes to temporary files
FITS = 1 << 28  # bytes of text that are read at once where that is faster
LAYOUTS = ("parquet", "table", "sequences")
DELIMITERS = ("::", "\t", ",", ";", "|", " ")
NAMES = {  # of columns, without case and punctuation; the first that is there is taken
    "user": "user userid uid visitor visitorid customer customerid reviewer reviewerid member memberid session sessionid",
    "item": "item itemid iid product productid movie movieid book bookid track trackid song songid video videoid "
    "article articleid asin parentasin sku stockcode venue venueid poi poiid location locationid business businessid",
    "time": "timestamp time ts datetime date unixreviewtime unixtimestamp eventtime createdat utctime invoicedate",
}
ENDING = re.compile(
    r"[_ .-](?:at|date|time|timestamp)$|[a-z](?:At|Date|Time|Timestamp)$"
)  # a word that ends the name of a column that tells a time, if no other ends so
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
ORDER = "order"  # the unit of numbers that are no clock times
FIRST, LAST = (
    1e8,
    4_102_444_800,
)  # seconds: a number below is no Unix time (1973); a later time (2100) is a mistake


class Columns(NamedTuple):
    """What a file holds, sorted by user, then time, then place in the file."""

    user_ids: (
        np.ndarray
    )  # (n_users,) in their order: int64, or str objects in the order of their characters
    offsets: np.ndarray  # (n_users + 1,) int64; user u has rows offsets[u] to offsets[u + 1]
    item_ids: np.ndarray  # (n_items,) in order of first appearance in `items`
    items: np.ndarray  # (rows,) int32, positions in item_ids
    timestamps: (
        np.ndarray | None
    )  # (rows,) float64 seconds since 1970 UTC; None where there is no clock
    notes: tuple[str, ...]  # what was guessed, a sentence each


def read(
    source, user=None, item=None, time=None, layout=None, delimiter=None, header=None, unit=None
) -> Columns:
    """Read a file or a DataFrame; `interactions.read_log` documents the arguments."""
    if unit is not None and unit not in (*UNITS, ORDER):
        raise InputError(
            f"there is no unit {unit!r} of times; there are {', '.join((*UNITS, ORDER))}"
        )
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"there is no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    notes: list[str] = []
    named = {"user": user, "item": item, "time": time}
    if isinstance(source, pd.DataFrame):
        label = "the DataFrame"
        _refuse_unused(label, layout=layout, delimiter=delimiter, header=header)
        frame = source.set_axis(source.columns.astype(str), axis=1)
        if not len(frame.columns) or not len(frame):
            raise InputError(f"{label} has no {'rows' if len(frame.columns) else 'columns'}")
        chosen = _choose(label, _unique(label, list(frame.columns)), named, notes)
        with _engine(label) as engine:
            engine.register("frame", frame)
            _load(engine, "frame", chosen)
            return _sorted(engine, label, unit, notes, chosen.get("time"))
    path = _existing(source)
    label = str(path)
    with tempfile.TemporaryDirectory(prefix="perflaw-") as scratch:
        plain = _decompressed(path, scratch)
        if layout == "parquet" or (layout is None and _starts(plain, b"PAR1")):
            _refuse_unused(f"{label} is Parquet, which", delimiter=delimiter, header=header)
            with _engine(label) as engine:
                relation = f"read_parquet({_quoted(plain)}, file_row_number=true)"
                columns = [
                    row[0]
                    for row in engine.execute(f"describe select * from {relation}").fetchall()
                ]
                chosen = _choose(label, columns[:-1], named, notes)
                _load(engine, relation, chosen, place="file_row_number")
                return _sorted(engine, label, unit, notes, chosen.get("time"))
        sample, encoding = _sample(plain, label)
        if layout == "sequences" or (layout is None and _is_sequences(sample, delimiter, named)):
            _refuse_unused(
                f"{label}, a line a user,", delimiter=delimiter, header=header, **named, unit=unit
            )
            notes.append("layout: one user a line, then the items in order")
            with _engine(label) as engine:
                _load_sequences(engine, plain, encoding, label)
                return _sorted(engine, label, unit, notes, where="item {:,}")
        table = _Table(sample, label, delimiter, header, named, notes)
        chosen = _choose(label, table.columns, table.roles(notes), notes)
        if columns := _whole_numbers(plain, table, chosen, unit, notes):
            return columns
        with _engine(label) as engine:
            _load(engine, table.relation(plain, encoding), chosen)
            _refuse_second_header(engine, table, label)
            return _sorted(
                engine,
                label,
                unit,
                notes,
                chosen.get("time"),
                where="row {:,} after the header" if table.header else "row {:,}",
            )


# ---------------------------------------------------------------- files


def _existing(source) -> Path:
    try:
        path = Path(source)
    except TypeError:
        raise InputError(
            f"a log is read from a path or a DataFrame, not from a {type(source).__name__}"
        ) from None
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file in it")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): check its permissions"
        ) from None
    if empty:
        raise InputError(f"{path} is empty: fetch or write it again")
    return path


def _refuse_unused(label, **options):
    """No option is ignored in silence."""
    if given := [f"{name}={value!r}" for name, value in options.items() if value is not None]:
        raise InputError(f"{label} has no use for {given[0]}; leave it out")


def _starts(path, magic) -> bool:
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _decompressed(path: Path, scratch: str) -> Path:
    """The file itself, or an unpacked copy in `scratch`; checksums and the end are verified."""
    plain = Path(scratch) / "plain"
    if _starts(path, b"PK\x03\x04"):
        raise InputError(f"{path} is a zip archive: unzip it and name the log inside")
    if _starts(path, b"\x1f\x8b"):
        try:
            with gzip.open(path) as packed, open(plain, "wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise InputError(
                f"{path} is not a whole gzip file ({error}): fetch or pack it again"
            ) from None
        return plain
    if _starts(path, b"\x28\xb5\x2f\xfd"):
        try:
            with open(path, "rb") as packed, open(plain, "wb") as file:
                frame = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
                while chunk := (frame.unused_data if frame.eof else b"") or packed.read(1 << 20):
                    if frame.eof:
                        frame = zstandard.ZstdDecompressor().decompressobj()
                    file.write(frame.decompress(chunk))
            if not frame.eof:
                raise zstandard.ZstdError("it ends early")
        except zstandard.ZstdError as error:
            raise InputError(
                f"{path} is not a whole zstd file ({error}): fetch or pack it again"
            ) from None
        return plain
    return path


def _sample(path: Path, label: str) -> tuple[list[str], str]:
    """The first lines of a text file, and its encoding."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
        whole = not file.read(1)
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    if encoding == "utf-8" and b"\0" in head:
        raise InputError(
            f"{label} is neither text nor Parquet: give a log in one of the layouts of `perflaw log --help`"
        )
    cut = len(head) if whole else max(head.rfind(b"\n") + 1, 1)
    text = (
        head[: cut - cut % 2 if encoding == "utf-16" else cut]
        .decode(encoding, errors="replace")
        .lstrip("\ufeff")
    )
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    if not lines:
        raise InputError(f"{label} holds nothing but blank lines: fetch or write it again")
    return lines[:200], encoding


# ---------------------------------------------------------------- text


class _Table:
    """How a delimited text file is to be read, from its first lines."""

    def __init__(self, sample, label, delimiter, header, named, notes):
        self.label, self.named = label, named
        self.delimiter = delimiter or _guess_delimiter(sample, label)
        self.rows = _split(sample, self.delimiter)
        first = self.rows[0]
        if len(first) < 2:
            guess = _guess_delimiter(sample, label)
            raise InputError(
                f"{label} has one column when split at {self.delimiter!r}; it seems to be split at {guess!r}"
            )
        if delimiter is None:
            notes.append(f"columns: split at {self.delimiter!r}")
        self.header = self._has_header(first) if header is None else header
        names = [
            name.strip().split(":")[0] if ":" in name else name.strip() for name in first
        ]  # RecBole's name:type
        self.columns = names if self.header else [str(i) for i in range(1, len(first) + 1)]
        _unique(label, self.columns)

    def _has_header(self, first):
        if any(_role(name) for name in first) or any(
            name in first for name in self.named.values() if name and not name.isdigit()
        ):  # a number is a place
            return True
        if any(_is_number(field) for field in first):
            return False
        raise InputError(
            f"{self.label}: the first line ({', '.join(first)[:60]}) may be a header or a row; "
            "say which with header=True or header=False, and name the columns with user=, item= and time="
        )

    def relation(self, path, encoding):
        quote = "''" if len(self.delimiter) > 1 else "'\"'"
        columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in self.columns)
        return (
            f"read_csv({_quoted(path)}, auto_detect=false, columns={{{columns}}}, header=false, skip={int(self.header)}, "
            f"delim={_quoted(self.delimiter)}, quote={quote}, escape={quote}, encoding='{encoding}')"
        )

    def roles(self, notes):
        """The columns named; for a file without a header by the layouts in use, and by what the third or fourth holds."""
        if self.header or any(self.named.values()):
            return self.named
        width = len(self.columns)
        body = [row for row in self.rows if len(row) == width]
        clock = {i: all(_is_clock(row[i - 1]) for row in body) for i in (3, 4) if i <= width}
        time = next((i for i in (4, 3) if clock.get(i)), None)
        if width > 4 or (width == 4 and not time):
            raise InputError(
                f"{self.label} has {width} columns and no header: name them by number, as in user=1, item=2, time=4"
            )
        told = ["user, item"] + [
            {time: "time"}.get(i, "rating (not used)") for i in range(3, width + 1)
        ]
        notes.append(f"no header; columns taken as {', '.join(told)}")
        return {"user": "1", "item": "2", "time": str(time) if time else None}


def _split(lines, delimiter):
    if len(delimiter) > 1:
        return [line.split(delimiter) for line in lines]
    return list(csv.reader(lines, delimiter=delimiter))


def _guess_delimiter(sample, label):
    """The first delimiter that splits every line into equally many fields, else the one in most lines."""
    counts = {d: [len(row) for row in _split(sample, d)] for d in DELIMITERS}
    for delimiter, fields in counts.items():
        if min(fields) > 1 and min(fields) == max(fields):
            return delimiter
    best = max(DELIMITERS, key=lambda d: sum(n > 1 for n in counts[d]))
    if max(counts[best]) < 2:
        raise InputError(
            f"{label} has one column; a log needs users and items, split at a tab, comma, ';', '|', '::' or space, or at what delimiter= says"
        )
    return best


def _is_sequences(sample, delimiter, named) -> bool:
    """Is this the S3-Rec layout, `user item item …`? Its lines differ in length, and no user has two."""
    if delimiter not in (None, " ") or any(named.values()):
        return False
    rows = [line.split() for line in sample]
    widths = {len(row) for row in rows}
    whole = all(
        " " in line and not set("\t,;|") & set(line) and "::" not in line for line in sample
    )
    if (
        not whole
        or (len(widths) == 1 and min(widths) < 5)
        or any(_role(field) for field in rows[0])
    ):
        return False
    return len({row[0] for row in rows}) == len(rows)


def _load_sequences(engine, path, encoding, label):
    lines = (
        f"read_csv({_quoted(path)}, auto_detect=false, columns={{'line': 'VARCHAR'}}, header=false, delim='\x01', "
        f"quote='', escape='', encoding='{encoding}')"
    )
    engine.execute(
        f"create temp table lines as select regexp_split_to_array(trim(line), '\\s+') as fields from {lines}"
    )
    if short := engine.execute("select min(rowid) from lines where len(fields) < 2").fetchone()[0]:
        raise InputError(f"{label}, line {short + 1}: a user without items: remove the line")
    twice = "select fields[1], min(rowid), max(rowid) from lines group by 1 having count(*) > 1 order by 2 limit 1"
    if found := engine.execute(twice).fetchone():
        user, first, second = found
        raise InputError(
            f"{label}: user {user} has two lines, {first + 1} and {second + 1}: join them"
        )
    engine.execute(
        "create temp table rows as select fields[1] as user, unnest(fields[2:]) as item, null::bigint as time "
        "from lines order by lines.rowid"
    )
    engine.execute("create temp view raw as select *, rowid as place from rows")


def _role(name):
    """The role (user, item, time) that a column of this name is likely to have, or None."""
    plain = _plain(name)
    return next((role for role, names in NAMES.items() if plain in names.split()), None)


def _plain(name):
    return re.sub(r"[^a-z0-9]", "", name.split(":")[0].lower())


def _is_number(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _is_clock(text):
    return float(text) >= FIRST if _is_number(text) else bool(re.match(r"\s*\d{4}-\d\d-\d\d", text))


# ---------------------------------------------------------------- whole numbers


def _whole_numbers(path, table, chosen, unit, notes) -> Columns | None:
    """The table, if all it holds is whole numbers written plainly; None if it is anything else, or large, or at fault.

    Three to five times as fast as the engine on such files, the most common ones. Exact: a whole
    number has one shortest way to be written, so if the numbers written out again fill as many
    bytes as the file has, nothing was read into them ("007", "+7", "7 " and "7.0" take more).
    """
    size = path.stat().st_size
    if len(table.delimiter) > 1 or size > FITS:
        return None
    try:
        rows = {"header": None, "names": table.columns, "skiprows": int(table.header)}
        with np.errstate(
            invalid="ignore"
        ):  # it tries numbers that are not whole, then refuses them
            frame = pd.read_csv(path, sep=table.delimiter, dtype=np.int64, na_filter=False, **rows)
    except (ValueError, OverflowError):  # pandas' parser errors are ValueErrors
        return None
    if not len(frame):
        return None
    with open(path, "rb") as file:
        bytes_told = len(file.readline()) if table.header else 0
        file.seek(-1, 2)
        bytes_told -= file.read() != b"\n"
    values = {name: frame[name].to_numpy() for name in table.columns}
    if bytes_told + sum(_digits(x) + len(x) for x in values.values()) != size:
        return None
    users, items, times = (values.get(chosen.get(role)) for role in ("user", "item", "time"))
    if times is not None:
        told = []
        unit = _unit_of_numbers(times.min(), times.max(), unit, told)
        if unit is None:
            return None
        notes += told
    order = _order(users, times)
    if order is None:
        return None
    users, items = users[order], items[order]
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    codes, item_ids = pd.factorize(items)
    seconds = _seconds(times[order], unit) if times is not None and unit != ORDER else None
    offsets = np.append(starts, len(users)).astype(np.int64)
    return Columns(users[starts], offsets, item_ids, codes.astype(np.int32), seconds, tuple(notes))


def _digits(x):
    """Characters that the whole numbers take together, signs included."""
    low, high = int(x.min()), int(x.max())
    size = np.abs(x) if low < 0 else x
    powers = [10**k for k in range(1, 19) if 10**k <= max(high, -low)]
    return (
        len(x)
        + int(np.count_nonzero(x < 0)) * (low < 0)
        + sum(int(np.count_nonzero(size >= power)) for power in powers)
    )


def _order(users, times):
    """What sorts by user, time and row, stably: a slice if all is in order, None if 64 bits do not hold the three."""
    keys = [users] if times is None else [users, times]
    if times is None and (users[1:] >= users[:-1]).all():
        return slice(None)
    widths = [int(int(key.max()) - int(key.min())).bit_length() for key in keys]
    row = len(users).bit_length()
    if sum(widths) + row > 64:
        return None
    packed = np.zeros(len(users), np.uint64)
    for key, width in zip(keys, widths):
        packed = (packed << np.uint64(width)) | (key - key.min()).astype(np.uint64)
    packed = (packed << np.uint64(row)) | np.arange(len(users), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64((1 << row) - 1)).astype(np.int64)


# ---------------------------------------------------------------- columns


def _unique(label, columns):
    if repeated := [name for name in columns if columns.count(name) > 1]:
        raise InputError(f"{label} has the column {repeated[0]!r} twice: rename one")
    return columns


def _choose(label, columns, named, notes):
    """{role: column} for user, item and, where there is one, time."""
    chosen = {}
    for role, names in NAMES.items():
        if (name := named[role]) is not None:
            if (name := str(name)) not in columns:
                raise InputError(
                    f"{label} has no column {name!r} for {role}; it has {', '.join(columns)}"
                )
            chosen[role] = name
        elif found := [c for known in names.split() for c in columns if _plain(c) == known]:
            chosen[role] = found[0]
            notes.append(f"{role}: column {found[0]!r}, by its name")
        elif (
            role == "time"
            and len(found := [c for c in columns if ENDING.search(c) and c not in chosen.values()])
            == 1
        ):
            chosen[role] = found[0]
            notes.append(f"time: column {found[0]!r}, by the end of its name")
        elif role != "time":
            raise InputError(
                f"{label}: which column holds the {role}? With {role}= name one of {', '.join(columns)}"
            )
        else:
            unused = [c for c in columns if c not in chosen.values()]
            told = f" (a time may be named; not used: {', '.join(unused)})" if unused else ""
            notes.append(f"time: none; the order of rows is the order of each history{told}")
    if len(set(chosen.values())) < len(chosen):
        raise InputError(
            f"{label}: one column cannot be two of {', '.join(f'{r}={c}' for r, c in chosen.items())}; name another"
        )
    return chosen


def _load(engine, relation, chosen, place=None):
    """Make the view `raw`: user, item, time and place, the number of the row from 0; `place` is the relation's own, if any."""
    kinds = {
        row[0]: row[1] for row in engine.execute(f"describe select * from {relation}").fetchall()
    }
    picked = ", ".join(f"{_column(chosen, role, kinds)} as {role}" for role in NAMES)
    if place is None:
        engine.execute(f"create temp table rows as select {picked} from {relation}")
        picked, relation, place = ", ".join(NAMES), "rows", "rowid"
    engine.execute(f"create temp view raw as select {picked}, {place} as place from {relation}")


def _column(chosen, role, kinds):
    if role not in chosen:
        return "null::bigint"
    name = '"' + chosen[role].replace('"', '""') + '"'
    if kinds[chosen[role]] == "VARCHAR":
        return f"nullif(trim({name}), '')"
    return name


def _refuse_second_header(engine, table, label):
    if not table.header:
        return
    names = [name for name, kind in zip(table.columns, table.rows[0]) if name]
    again = engine.execute(
        "select min(place) from raw where user in $1 and item in $1", [names]
    ).fetchone()[0]
    if again is not None:
        raise InputError(
            f"{label}, row {again + 1} after the header: the header again; remove the line"
        )


def _sorted(engine, label, unit, notes, clock=None, where="row {:,}") -> Columns:
    """Validate the view `raw`, sort it and bring it into arrays; clock: the column of times, if there is one."""
    rows, *filled = engine.execute(
        "select count(*), count(user), count(item), count(time) from raw"
    ).fetchone()
    if not rows:
        raise InputError(f"{label} has a header and no rows: fetch or write it again")

    def fail(condition, told):
        number, *values = engine.execute(
            f"select place + 1, user, item, time from raw where {condition} order by place limit 1"
        ).fetchone()
        raise InputError(
            f"{label}, {where.format(number)}: "
            + told.format(**dict(zip(("user", "item", "time"), values)))
        )

    for role, count in zip(("user", "item"), filled):
        if count < rows:
            fail(f"{role} is null", f"no {role}; fill it in or remove the row")
    if 0 < filled[2] < rows:
        fail("time is null", "no time; fill it in or remove the row")
    if clock is not None and not filled[2]:
        raise InputError(
            f"{label}: the column of times, {clock!r}, is blank; fill it in, or remove it if the order of rows is the order of each history"
        )
    users = _identifiers(engine, "user", fail)
    items = _identifiers(engine, "item", fail)
    time, unit = _clock(engine, unit, notes, fail) if filled[2] else (None, ORDER)

    wanted = {"user": users.code, "item": items.code} | (
        {"time": time} if time and unit != ORDER else {}
    )
    by = ", ".join([users.code, *([time] if time else []), "place"])
    found = _fetched(
        engine,
        f"select {', '.join(f'{sql} as {name}' for name, sql in wanted.items())} from raw order by {by}",
        rows,
        unit,
    )
    starts = np.flatnonzero(np.concatenate([[True], found["user"][1:] != found["user"][:-1]]))
    user_ids = users.shown(found.pop("user")[starts])
    codes, seen = pd.factorize(found["item"])
    return Columns(
        user_ids,
        np.append(starts, rows),
        items.shown(seen),
        codes.astype(np.int32),
        found.get("time"),
        tuple(notes),
    )


def _fetched(engine, query, rows, unit):
    """The columns of a query with so many rows, times in seconds: piece by piece, so that nothing is in memory twice."""
    engine.execute(query)
    columns, at = {}, 0
    while len(piece := engine.fetch_df_chunk(100)):
        for name, values in piece.items():
            values = _seconds(values.to_numpy(), unit) if name == "time" else values.to_numpy()
            columns.setdefault(name, np.empty(rows, values.dtype))[at : at + len(values)] = values
        at += len(piece)
    return columns


class _Ids(NamedTuple):
    """The ids of a column of `raw`, as whole numbers in their order."""

    code: str  # SQL for them
    names: np.ndarray | None = None  # what they stand for, if they are not the ids themselves

    def shown(self, codes):
        return codes if self.names is None else self.names[codes]


def _identifiers(engine, role, fail) -> _Ids:
    kind = engine.execute(f"select typeof({role}) from raw limit 1").fetchone()[0]
    if kind in (
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
    ):
        return _Ids(role)
    if kind in ("FLOAT", "DOUBLE"):
        if engine.execute(
            f"select bool_or(not isfinite({role}) or {role} <> floor({role})) from raw"
        ).fetchone()[0]:
            fail(
                f"not isfinite({role}) or {role} <> floor({role})",
                f"the {role} {{{role}}} is a number but not a whole one; mend it, or write ids as text",
            )
        if engine.execute(f"select max(abs({role})) from raw").fetchone()[0] > 2.0**53:
            fail(
                f"abs({role}) > 2::double ** 53",
                f"the {role} {{{role}}} is a decimal number too large to be exact; write ids as text",
            )
        return _Ids(f"{role}::bigint")
    if kind.startswith(
        ("TIMESTAMP", "DATE", "TIME", "INTERVAL", "STRUCT", "MAP", "BOOLEAN")
    ) or kind.endswith("]"):
        fail(
            "true",
            f"the {role} column holds {kind.lower()} values; an id is a whole number or text; name another column",
        )
    text = role if kind == "VARCHAR" else f"{role}::varchar"
    differs = f"try_cast({text} as bigint)::varchar is distinct from {text}"
    if not engine.execute(
        f"select count(*) from (select 1 from raw where {differs} limit 1)"
    ).fetchone()[0]:
        return _Ids(f"{text}::bigint")
    if engine.execute(f"select bool_or(contains({text}, chr(0))) from raw").fetchone()[0]:
        fail(
            f"contains({text}, chr(0))",
            f"a zero byte in the {role}; the file may be damaged: fetch or write it again",
        )
    engine.execute(f"create type {role}s as enum (select distinct {text} from raw order by 1)")
    names = engine.execute(
        f"select unnest(enum_range(null::{role}s))::varchar as name"
    ).fetchnumpy()["name"]
    return _Ids(f"enum_code({text}::{role}s)", _unmasked(names))


def _clock(engine, unit, notes, fail) -> tuple[str, str]:
    """SQL for the times of `raw` in a form that sorts exactly, and their unit."""
    kind = engine.execute("select typeof(time) from raw where time is not null limit 1").fetchone()[
        0
    ]
    time = "time"
    if kind == "VARCHAR":
        readings = {  # a date without a zone is in UTC, which is the engine's
            "BIGINT": "try_cast(time as bigint)::varchar is not distinct from time",
            "DOUBLE": "try_cast(time as double) is not null",
            "TIMESTAMP": "try_cast(time as timestamptz) is not null",
        }
        counts = engine.execute(
            f"select {', '.join(f'count_if({fits})' for fits in readings.values())} from raw"
        ).fetchone()
        kind = max(zip(counts, range(3, 0, -1), readings))[2]
        if not max(counts):
            fail(
                "time is not null",
                "the time {time!r} is no number and no ISO 8601 date, nor is any other; write dates as 2020-07-31, or name another column with time=",
            )
        if max(counts) < engine.execute("select count(*) from raw").fetchone()[0]:
            fail(
                f"not ({readings[kind]})",
                "the time {time!r} is no number and no ISO 8601 date, as most others are; mend it",
            )
        time = "time::timestamptz" if kind == "TIMESTAMP" else f"time::{kind}"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        if unit not in (None, ORDER):
            raise InputError(
                f"unit={unit!r} is for numbers, and these times are dates; leave it out"
            )
        low, high = engine.execute(
            f"select min(epoch({time})), max(epoch({time})) from raw"
        ).fetchone()
        if high > LAST:
            fail(f"epoch({time}) > {LAST}", "the time {time} is after the year 2100; mend it")
        if low < 0 and unit is None:
            fail(
                f"epoch({time}) < 0",
                "the time {time} is before 1970; if that is meant, pass unit='order'",
            )
        step = "ns" if kind == "TIMESTAMP_NS" else "us"
        return f"epoch_{step}({time})", unit or step
    if (
        kind in ("FLOAT", "DOUBLE")
        and engine.execute(f"select bool_or(not isfinite({time})) from raw").fetchone()[0]
    ):
        fail(f"not isfinite({time})", "the time {time} is no number; fill it in or remove the row")
    low, high = engine.execute(f"select min({time}), max({time}) from raw").fetchone()
    if found := _unit_of_numbers(low, high, unit, notes):
        return time, found
    if low < 0:
        fail(
            f"{time} < 0",
            "the time {time} is negative; mend it, or pass unit='order' if times are no clock times",
        )
    if unit is None and _unit(low) != (unit := _unit(high)):
        odd = f"{time} < {FIRST * UNITS[unit]:.0f}"
        fail(
            odd,
            f"the time {{time}}, where others are like {high:.0f}, in {unit}; mend it, or name the unit with unit=",
        )
    fail(
        f"{time} > {LAST * UNITS[unit]}",
        f"the time {{time}} is after the year 2100 in {unit}; mend it, or name the unit with unit=",
    )


def _unit_of_numbers(low, high, unit, notes):
    """The unit of times from low to high, given or by their size; None if they cannot be times."""
    if unit == ORDER:
        return ORDER
    if low < 0:
        return None
    if unit is None:
        if high < FIRST:
            notes.append(
                f"times: {low:g} to {high:g} are no Unix times; they order each history, and no clock is kept"
            )
            return ORDER
        unit = _unit(high)
        if _unit(low) != unit:
            return None
        if high <= LAST * UNITS[unit]:
            notes.append(f"times: in {unit}, by their size")
    return unit if high <= LAST * UNITS[unit] else None


def _unit(value):
    """The unit in which a number is a time between 1973 and 5138; None below."""
    return next((unit for unit in reversed(UNITS) if value >= FIRST * UNITS[unit]), None)


def _seconds(values, unit):
    values = values.astype(np.float64)
    return values if unit == "s" else values / UNITS[unit]


# ---------------------------------------------------------------- the engine


@contextmanager
def _engine(label) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB, with temporary files of its own; its complaints about a file become one line."""
    with tempfile.TemporaryDirectory(prefix="perflaw-") as scratch:
        engine = duckdb.connect(
            config={
                "temp_directory": scratch,
                "memory_limit": MEMORY,
                "preserve_insertion_order": True,
            }
        )
        try:
            engine.execute("set TimeZone = 'UTC'")
            yield engine
        except duckdb.Error as error:
            raise InputError(_told(error, label)) from None
        finally:
            engine.close()


def _told(error, label):
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    where = f"{label}, line {line[1]}" if line else label
    if columns := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        told = f"{columns[2]} column{'s' * (columns[2] != '1')} where the first line has {columns[1]}; mend the line"
    elif "unterminated quote" in text:
        told = "a quote that does not end; close it or remove it"
    elif "not utf-8" in text:
        told = "not UTF-8 text; convert it, as with iconv -f latin1 -t utf8"
    elif "invalid state" in text:
        told = (
            "its lines end in different ways (\\r\\n and \\n) or its quotes do not match; mend them"
        )
    elif isinstance(error, duckdb.OutOfMemoryException):
        told = f"too little memory or temporary disk space to sort it ({text.splitlines()[0]})"
    else:
        told = " ".join(text.split("\n\nLINE")[0].split()).split("Possible")[0][:200].rstrip(". ")
        told += "; the file may be damaged or cut short: fetch or write it again"
    return f"{where}: {told}"


def _quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


def _unmasked(array):
    """DuckDB hands columns over as masked arrays where they might hold nulls; these hold none."""
    return (
        np.asarray(getattr(array, "data", array))
        if isinstance(array, np.ma.MaskedArray)
        else np.asarray(array)
    )
