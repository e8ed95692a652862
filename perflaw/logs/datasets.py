"""Logs by name: a synthetic one, two public ones that are downloaded, and yours in a folder.

A public log is downloaded once, its checksum is verified, and it is kept as Parquet in the cache.
Each step is complete or leaves nothing. `PERFLAW_DATA` names a folder of logs that are used by file
name, before anything is downloaded; `PERFLAW_CACHE` moves the cache.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from perflaw.errors import InputError, check_kind, require
from perflaw.logs import synthetic
from perflaw.logs.interaction_log import InteractionLog, read_log, write_log

DATA_VARIABLE = "PERFLAW_DATA"
SYNTHETIC = "synthetic"
ENDINGS = (".parquet", ".csv", ".tsv", ".inter", ".txt", ".dat", ".data", ".jsonl", ".json")
PACKED = ("", ".gz", ".bz2", ".xz", ".zst")


class Source(NamedTuple):
    """Where a public log is published, and which member of the archive it is."""

    url: str
    checksum: str
    member: str


GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
SOURCES = {
    "ml-100k": Source(
        GROUPLENS + "ml-100k.zip", "md5:0e33842e24a9c977be4e0107933c0723", "ml-100k/u.data"
    ),
    "ml-1m": Source(
        GROUPLENS + "ml-1m.zip", "md5:c4d9eecfca2ab87c1945afe126590906", "ml-1m/ratings.dat"
    ),
}


def load_log(name: str | os.PathLike, **options: Any) -> InteractionLog:
    """Load a log by name or path.

    Parameters
    ----------
    name : str or path
        "synthetic", a file, a file of the folder PERFLAW_DATA (with or without its ending),
        "ml-100k" or "ml-1m".
    **options
        Those of `perflaw.logs.read_log`, for files.

    Raises
    ------
    InputError
        For an unknown name, with the known ones, and for a log that cannot be read.

    Examples
    --------
    >>> load_log("synthetic")
    <InteractionLog synthetic: 2,000 users, 1,000 items, 101,114 interactions>
    """
    check_kind(name, (str, os.PathLike), "name a file or a log; read_log takes a table")
    name = os.fspath(name)
    if Path(name).is_file():
        return read_log(name, **options)
    local = {} if name == SYNTHETIC else local_logs()
    by_file_name = {path.name: path for path in local.values()}
    if path := local.get(name) or by_file_name.get(name):
        return read_log(path, **options)
    if name in (SYNTHETIC, *SOURCES):
        if unused := [option for option, value in options.items() if value is not None]:
            raise InputError(f"{name} is known; {unused[0]}= is for files of your own")
        if name == SYNTHETIC:
            return synthetic.Process().sample().log
        return read_log(_fetch_log(name), name=name)
    if Path(name).name != name or Path(name).suffix or Path(name).exists():
        return read_log(name, **options)  # raises an error that says what is wrong with the path
    hint = f"{DATA_VARIABLE} may name a folder of logs"
    if local:
        hint = f"the folder {DATA_VARIABLE} has {', '.join(local)}"
    names = ", ".join((SYNTHETIC, *SOURCES))
    raise InputError(f"there is no log {name!r}: name a file, or one of {names}; {hint}")


def local_logs() -> dict[str, Path]:
    """Find the logs in the folder PERFLAW_DATA, by name; none where it is not set.

    Files called `NAME.items.parquet` describe items and are left out.
    """
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise InputError(f"{DATA_VARIABLE} is {folder}, which is no folder: correct or unset it")
    endings = [ending + packed for ending in ENDINGS for packed in PACKED]
    logs: dict[str, Path] = {}
    for path in sorted(Path(folder).iterdir()):
        ending = next((ending for ending in endings if path.name.lower().endswith(ending)), None)
        if path.is_file() and ending and not path.name.endswith(".items.parquet"):
            name = path.name[: -len(ending)]
            logs[path.name if name in logs else name] = path
    return logs


def available_logs() -> list[str]:
    """List the logs that need no download: synthetic, and those of PERFLAW_DATA."""
    return [SYNTHETIC, *sorted(local_logs())]


def cache_folder() -> Path:
    """Return the folder of downloads: PERFLAW_CACHE, or the system's folder for caches."""
    return Path(os.environ.get("PERFLAW_CACHE") or require("pooch").os_cache("perflaw"))


def fetch(name: str, url: str, checksum: str) -> Path:
    """Get the file behind a URL into the cache, unless it is there already.

    Parameters
    ----------
    name : str
        What the file is, for messages.
    url : str
    checksum : str
        ``sha256:…``, or another that hashlib knows.

    Returns
    -------
    Path
        Path of the file in the cache.

    Raises
    ------
    InputError
        If it cannot be downloaded or is another file, with how to mend that.
    """
    pooch = require("pooch")
    pooch.get_logger().setLevel("WARNING")
    file = Path(url).name
    mend = _how_to_mend(url)
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        return Path(pooch.retrieve(url, checksum, file, cache_folder(), progressbar=True))
    except ValueError as error:  # pooch raises it for a checksum that differs
        raise InputError(
            f"{name}: {file} is not the published file (its checksum differs); {mend}"
        ) from error
    except Exception as error:  # the network, the server and the disk can fail in many ways
        raise InputError(
            f"{name} is not here and could not be downloaded ({type(error).__name__}); {mend}"
        ) from error


def _how_to_mend(url: str) -> str:
    return f"download {url} elsewhere and put it, as {Path(url).name}, into {cache_folder()}"


def _fetch_log(name: str) -> Path:
    """Get a public log as Parquet in the cache: download and convert it unless it is there."""
    source = SOURCES[name]
    converted = cache_folder() / f"{name}-{source.checksum[-8:]}.parquet"
    if converted.exists():
        return converted
    duckdb = require("duckdb")
    path = fetch(name, source.url, source.checksum)
    mend = _how_to_mend(source.url)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(path) as archive:
                table = archive.extract(source.member, scratch)
            write_log(read_log(table), converted)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise InputError(
                f"{name}: {path} does not hold {source.member} ({type(error).__name__}); {mend}"
            ) from None
        except (OSError, duckdb.Error) as error:
            raise InputError(
                f"{name} could not be converted in {cache_folder()} ({error}); is the disk full?"
            ) from error
    return converted
