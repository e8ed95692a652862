"""Any common source of interactions → users, items and times in arrays.

What is read is exact: ids are text unless all of them are plain whole numbers, so "007" is not
7, and "NA" is an id. Whatever is guessed comes back as a sentence about it; what cannot be read
in one way only is refused, in one line that names the place and the mend.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from perflaw.errors import InputError
from perflaw.logs.readers import files, frames, json_lines, text
from perflaw.logs.readers.doubts import doubt_columns
from perflaw.logs.readers.options import ALL_UNITS, LAYOUTS, Columns, Reading, ReadOptions
from perflaw.logs.readers.sniffing import read_sample

__all__ = ["ALL_UNITS", "LAYOUTS", "Columns", "ReadOptions", "read"]


def read(source: Any, options: ReadOptions | None = None) -> Columns:
    """Read a file, a folder of Parquet parts, or a table in memory.

    Parameters
    ----------
    source : str, path, DataFrame or any table with the Arrow C stream
    options : ReadOptions, optional
        What is known about it; the rest is guessed.

    Returns
    -------
    Columns
        Sorted by user, then time, then place in the source.

    Raises
    ------
    InputError
        With the source, the place and the mend, in one line.
    """
    columns = _read(source, options or ReadOptions())
    return columns._replace(notes=(*columns.notes, *doubt_columns(columns)))


def _read(source: Any, options: ReadOptions) -> Columns:
    if frames.is_frame(source):
        return frames.read_frame(source, options)
    if options.parts:
        return _read_parts(source, options)
    path = files.existing_path(source, ", or read its Parquet parts with parts=True")
    with tempfile.TemporaryDirectory(prefix="perflaw-") as scratch:
        return _read_file(path, Path(scratch), Reading(str(path), options))


def _read_file(path: Path, scratch: Path, reading: Reading) -> Columns:
    label, layout = reading.label, reading.options.layout
    plain = files.unpack(path, scratch)
    if layout == "parquet" or (layout is None and files.is_parquet(plain)):
        return frames.read_parquet([plain], reading)
    files.refuse_other_kinds(plain, label)
    plain = files.decode(plain, scratch, label)
    sample = read_sample(plain, label)
    if json_lines.is_json(sample, reading.options):
        return json_lines.read_json_lines(plain, sample, reading)
    return text.read_text(plain, sample, reading)


def _read_parts(source: Any, options: ReadOptions) -> Columns:
    files.refuse_empty_name(source)
    try:
        folder = Path(source)
    except TypeError:
        raise InputError("parts=True is for a folder of Parquet files; leave it out") from None
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of Parquet parts; leave parts=True out")
    paths = sorted(path for path in folder.iterdir() if path.name[0] not in "._")
    if not paths:
        raise InputError(f"{folder} has no files; name a folder of Parquet files")
    for path in paths:
        if not path.is_file() or not files.is_parquet(path):
            raise InputError(f"{path} is no Parquet file; leave nothing else in a folder of parts")
    reading = Reading(str(folder), options)
    reading.findings.guess(f"parts: {len(paths)} Parquet files, in the order of their names")
    return frames.read_parquet(paths, reading)
