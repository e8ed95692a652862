"""Logs by name: the synthetic one, two public ones fetched from their publisher, and yours in a folder.

A public log is downloaded once, its checksum verified, read from within its archive (nothing
is unpacked to disk) and kept as Parquet in the cache; each step is complete or leaves nothing.
`PERFLAW_DATA` names a folder of logs that are used by file name, before anything is
downloaded; `PERFLAW_CACHE` moves the cache.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from perflaw.errors import InputError, require
from perflaw.logs import synthetic
from perflaw.logs.interaction_log import InteractionLog, read_log, write_log

FOLDER = "PERFLAW_DATA"
ENDINGS = (".parquet", ".csv", ".tsv", ".inter", ".txt", ".dat", ".data", ".jsonl", ".json")
PACKED = ("", ".gz", ".bz2", ".xz", ".zst")


class Source(NamedTuple):
    """Where a public log is published."""

    url: str
    checksum: str
    member: str  # of the archive


GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
SOURCES = {
    "ml-100k": Source(
        GROUPLENS + "ml-100k.zip", "md5:0e33842e24a9c977be4e0107933c0723", "ml-100k/u.data"
    ),
    "ml-1m": Source(
        GROUPLENS + "ml-1m.zip", "md5:c4d9eecfca2ab87c1945afe126590906", "ml-1m/ratings.dat"
    ),
}


def load_log(name: str | os.PathLike, **options) -> InteractionLog:
    """A log by name or path: "synthetic", a file, a file of the folder PERFLAW_DATA, "ml-100k" or "ml-1m".

    A file of the folder goes by its name with or without ending. Options are those of
    `interactions.read_log`, for files. Raises InputError, in one line, for what cannot be had.
    """
    name = os.fspath(name)
    here = {} if name == "synthetic" else local_logs()
    if Path(name).is_file():
        return read_log(name, **options)
    if path := here.get(name) or next((path for path in here.values() if path.name == name), None):
        return read_log(path, **options)
    if name in ("synthetic", *SOURCES):
        if given := [option for option, value in options.items() if value is not None]:
            raise InputError(f"{name} is known; {given[0]}= is for files of your own")
        return (
            synthetic.Process().sample().log
            if name == "synthetic"
            else read_log(_fetched(name), name=name)
        )
    if Path(name).name != name or Path(name).suffix or Path(name).exists():
        return read_log(name, **options)  # which says what is wrong with the path
    told = (
        f"the folder {FOLDER} has {', '.join(here)}"
        if here
        else f"{FOLDER} may name a folder of logs"
    )
    raise InputError(
        f"there is no log {name!r}: name a file, or one of synthetic, {', '.join(SOURCES)}; {told}"
    )


def local_logs() -> dict[str, Path]:
    """The logs in the folder PERFLAW_DATA by name; empty where it is not set. `NAME.items.parquet` describes items."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise InputError(f"{FOLDER} is {folder}, which is no folder: correct or unset it")
    endings = [ending + packed for ending in ENDINGS for packed in PACKED]
    found = {}
    for path in sorted(Path(folder).iterdir()):
        ending = next((ending for ending in endings if path.name.lower().endswith(ending)), None)
        if path.is_file() and ending and not path.name.endswith(".items.parquet"):
            name = path.name[: -len(ending)]
            found[path.name if name in found else name] = path
    return found


def available_logs() -> list[str]:
    """What `load_log` knows without downloading: the synthetic log, then those of the folder PERFLAW_DATA."""
    return ["synthetic", *local_logs()]


def cache_folder() -> Path:
    """The folder of what was downloaded: PERFLAW_CACHE, or the system's place for such."""
    import pooch

    return Path(os.environ.get("PERFLAW_CACHE") or pooch.os_cache("perflaw"))


def fetch(name: str, url: str, checksum: str) -> Path:
    """The file behind a URL, in the cache, downloaded where it is not there yet; checksum: sha256:…, or another that hashlib knows.

    Raises InputError if it cannot be had or is another file, with how to mend that.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    file = Path(url).name
    mend = f"download {url} elsewhere and put it, as {file}, into {cache_folder()}"
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        return Path(pooch.retrieve(url, checksum, file, cache_folder(), progressbar=True))
    except ValueError as error:  # pooch's word for a checksum that differs
        raise InputError(
            f"{name}: {file} is not the published file (its checksum differs); {mend}"
        ) from error
    except Exception as error:  # whatever the network, the server or the disk may say
        raise InputError(
            f"{name} is not here and could not be downloaded ({type(error).__name__}); {mend}"
        ) from error


def _fetched(name) -> Path:
    """The log as Parquet in the cache, downloaded and converted where it is not there yet."""
    source = SOURCES[name]
    converted = cache_folder() / f"{name}-{source.checksum[-8:]}.parquet"
    if converted.exists():
        return converted
    duckdb = require("duckdb")
    path = fetch(name, source.url, source.checksum)
    mend = f"download {source.url} elsewhere and put it, as {path.name}, into {cache_folder()}"
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / Path(source.member).name
        try:
            with (
                zipfile.ZipFile(path) as packed,
                packed.open(source.member) as member,
                open(plain, "wb") as file,
            ):
                shutil.copyfileobj(member, file)
            write_log(read_log(plain), converted)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise InputError(
                f"{name}: {path} does not hold {source.member} ({type(error).__name__}); {mend}"
            ) from None
        except (OSError, duckdb.Error) as error:
            raise InputError(
                f"{name} could not be converted in {cache_folder()} ({error}); is the disk full?"
            ) from error
    return converted
