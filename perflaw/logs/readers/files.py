"""From a path to plain UTF-8 text or Parquet: what a file is, unpacked and decoded."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from perflaw.errors import InputError, require

EXPORT = "export the table as CSV or Parquet, and name that file"
KINDS = (  # offset, first bytes, what it is and how to mend it
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "is a workbook of the old kind (.xls): save the sheet as CSV",
    ),
    (0, b"SQLite format 3\0", f"is an SQLite database: {EXPORT}"),
    (8, b"DUCK", f"is a DuckDB database: {EXPORT}"),
    (0, b"\x89HDF\r\n\x1a\n", f"is an HDF5 file: {EXPORT}"),
    (0, b"\x93NUMPY", "is a NumPy array: write it as CSV with the columns named"),
    (0, b"ARROW1", "is an Arrow or Feather file: write it as Parquet, or pass the table itself"),
    (0, b"FEA1", "is a Feather file: write it as Parquet, or pass the table itself"),
    (0, b"ORC", "is an ORC file: write it as Parquet"),
    (0, b"Obj\x01", "is an Avro file: write it as Parquet"),
    (0, b"PARE", "is an encrypted Parquet file: write it without encryption"),
    (0, b"%PDF-", f"is a PDF: {EXPORT}"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it and name the file inside"),
    (0, b"Rar!\x1a\x07", "is a RAR archive: unpack it and name the file inside"),
    (257, b"ustar", "is a tar archive: unpack it and name the file inside"),
    (0, b"\x04\x22\x4d\x18", "is packed with LZ4: unpack it, as with lz4 -d"),
    (0, b"\xff\x06\x00\x00sNaPpY", "is packed with Snappy: unpack it"),
    (0, b"\x1f\x9d", "is packed with compress: unpack it, as with gzip -d"),
    (0, b"RDX", "is a file of R: write the table with write.csv"),
    (0, b"X\n\0\0", "is a file of R: write the table with write.csv"),
    (0, b"$FL", f"is a file of SPSS: {EXPORT}"),
    (0, b"<stata_dta>", f"is a file of Stata: {EXPORT}"),
    (0, b"MATLAB 5.0", f"is a file of MATLAB: {EXPORT}"),
    (0, b"version https://git-lfs", "is a pointer of Git LFS, not the file: run git lfs pull"),
)
UNREADABLE = "fetch or pack it again"


def refuse_empty_name(source: Any) -> None:
    """Raise InputError for a path of no characters, which would be the current folder."""
    if isinstance(source, str) and not source:
        raise InputError("the name is empty: name a file")


def existing_path(source: Any, of_folder: str = "") -> Path:
    """Return the path of a file that is there and not empty, or raise InputError.

    Parameters
    ----------
    source : str or path
    of_folder : str
        What can be done with a folder but to name a file in it, for the message.
    """
    refuse_empty_name(source)
    try:
        path = Path(source)
    except TypeError:
        raise InputError(
            "a log is read from a path or a DataFrame, or another table with the Arrow C stream, "
            f"not from a {type(source).__name__}; give one of these"
        ) from None
    try:
        os.stat(path)
    except FileNotFoundError:
        link = f", as {path} is a link to nothing" if os.path.islink(path) else ""
        raise InputError(f"{path} does not exist: check the path{link}") from None
    except (NotADirectoryError, ValueError):  # of a zero byte
        raise InputError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): check the path and its permissions"
        ) from None
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file in it{of_folder}")
    if not path.is_file():
        raise InputError(f"{path} is no regular file: write what it holds to a file, and name that")
    try:
        empty = not read_head(path, 1)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): check its permissions"
        ) from None
    if empty:
        raise InputError(f"{path} is empty: fetch or write it again")
    return path


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """Read the first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(size)


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as Parquet does."""
    return read_head(path, 4) == b"PAR1"


def refuse_other_kinds(path: Path, label: str) -> None:
    """Raise InputError for a file that is neither text nor Parquet, saying what it is."""
    head = read_head(path, 512)
    for offset, magic, sentence in KINDS:
        if head[offset : offset + len(magic)] == magic:
            raise InputError(f"{label} {sentence}")
    if re.match(rb"\x80[\x02-\x05]", head):
        raise InputError(f"{label} is a Python pickle: write the table as CSV or Parquet")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        raise InputError(f"{label} {_describe_zip(path)}")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    if start.startswith((b"<!doctype", b"<html")):
        raise InputError(f"{label} is a web page, perhaps an error of a download: fetch it again")
    if start.startswith(b"<?xml"):
        raise InputError(f"{label} is XML: {EXPORT}")


def _describe_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "is a damaged zip archive: fetch it again, unzip it and name the file inside"
    if any(name.startswith("xl/") for name in names):
        return "is a workbook (.xlsx): save the sheet as CSV, and name that file"
    if "mimetype" in names and "content.xml" in names:
        return "is a workbook (OpenDocument): save the sheet as CSV, and name that file"
    if names and all(name.endswith(".npy") for name in names):
        return "is an archive of NumPy arrays: write the table as CSV"
    return "is a zip archive: unzip it and name the file inside"


def unpack(path: Path, scratch: Path) -> Path:
    """Return the file itself, or an unpacked copy in `scratch`; verify checksums and the end."""
    plain = scratch / "plain"
    head = read_head(path, 6)
    if head.startswith(b"\x1f\x8b"):
        _unpack_with(gzip.open, path, plain, "gzip")
    elif head.startswith(b"BZh"):
        _unpack_with(bz2.open, path, plain, "bzip2")
    elif head.startswith(b"\xfd7zXZ\0"):
        _unpack_with(lzma.open, path, plain, "xz")
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        _unpack_zstd(path, plain)
    else:
        return path
    if not plain.stat().st_size:
        raise InputError(f"{path} holds nothing once unpacked: {UNREADABLE}")
    return plain


def _unpack_with(
    opener: Callable[[Path], IO[bytes] | gzip.GzipFile], path: Path, plain: Path, name: str
) -> None:
    try:
        with opener(path) as packed, open(plain, "wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path} is not a whole {name} file ({error}): {UNREADABLE}") from None


def _unpack_zstd(path: Path, plain: Path) -> None:
    zstandard = require("zstandard")
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
        raise InputError(f"{path} is not a whole zstd file ({error}): {UNREADABLE}") from None


def decode(path: Path, scratch: Path, label: str) -> Path:
    """Return a file of UTF-8 text: the file itself, or a copy of one in UTF-16."""
    head = read_head(path)
    encoding = _other_encoding(head)
    if encoding is None:
        if b"\0" in head:
            raise InputError(f"{label} is neither text nor Parquet: {EXPORT}")
        return _with_newlines(path, scratch) if b"\r" in head and b"\n" not in head else path
    decoded = scratch / "decoded"
    try:
        with (
            open(path, encoding=encoding, newline="") as file,
            open(decoded, "w", encoding="utf-8", newline="") as out,
        ):
            shutil.copyfileobj(file, out, 1 << 20)
    except UnicodeError:
        raise InputError(
            f"{label} is not whole {encoding.upper()} text; convert it, as with iconv -t utf8"
        ) from None
    return decoded


def _with_newlines(path: Path, scratch: Path) -> Path:
    """Copy a file whose lines end with carriage returns alone, with newlines instead."""
    copy = scratch / "lines"
    with open(path, "rb") as file, open(copy, "wb") as out:
        while block := file.read(1 << 20):
            out.write(block.replace(b"\r", b"\n"))
    return copy


def _other_encoding(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    pairs = head[: len(head) // 2 * 2]
    if len(pairs) >= 8 and b"\0" in pairs:  # UTF-16 without its mark: every other byte is zero
        if not any(pairs[0::2]) and all(pairs[1::2]):
            return "utf-16-be"
        if not any(pairs[1::2]) and all(pairs[0::2]):
            return "utf-16-le"
    return None
