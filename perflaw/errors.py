"""Errors that the user can mend."""

import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

# What may be wrong with a path that the user gave, and how to mend it.
PATH_REMEDIES = {
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EACCES: "name a place that you may use",
    errno.EPERM: "name a place that you may use",
    errno.EROFS: "name a place that can be written to",
    errno.ELOOP: "mend the link",
}

# The extra of pyproject.toml that brings a package, by the name that Python imports.
EXTRAS = {
    "duckdb": "logs",
    "numba": "logs",
    "pooch": "logs",
    "zstandard": "logs",
    "filelock": "models",
    "safetensors": "models",
    "threadpoolctl": "models",
    "torch": "models",
    "ipykernel": "report",
    "jinja2": "report",
    "markupsafe": "report",
    "matplotlib": "report",
    "nbformat": "report",
    "papermill": "report",
    "jupyter_book": "book",
    "myst_nb": "book",
    "pypdf": "book",
    "sphinx": "book",
    "distributed": "cluster",
    "sklearn": "sklearn",
}


class InputError(ValueError):
    """The user's input cannot be used; the message says what, where and how to mend it."""


class MissingPackageError(InputError, ImportError):
    """A package of an extra is not installed; the message names the extra."""


def check_kind(value: object, kind: type | tuple[type, ...], mend: str) -> None:
    """Raise InputError for an argument of a kind that a function does not take.

    Parameters
    ----------
    value
        The argument.
    kind
        What it has to be.
    mend
        Where to get one, for the message.

    Examples
    --------
    >>> check_kind("shop.csv", dict, "read it first")
    Traceback (most recent call last):
    ...
    perflaw.errors.InputError: a str is no dict; read it first
    """
    if not isinstance(value, kind):
        wanted = kind[0] if isinstance(kind, tuple) else kind
        raise InputError(f"a {type(value).__name__} is no {wanted.__name__}; {mend}")


def describe_missing_package(package: str | None) -> str | None:
    """Say in one line which extra brings a package; None if no extra does."""
    name = (package or "").partition(".")[0]
    extra = EXTRAS.get(name)
    if extra is None:
        return None
    return f"this needs {name}, which is not installed: pip install 'perflaw[{extra}]'"


def require(package: str) -> Any:
    """Import a package that an extra brings, e.g. `require("duckdb")`.

    Parameters
    ----------
    package
        Name of the module to import.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingPackageError
        If it is not installed; the message names the extra to install.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        message = describe_missing_package(error.name)
        if message is None:
            raise
        raise MissingPackageError(message) from None


@contextmanager
def one_line_errors(make_exit: Callable[[str], BaseException] = SystemExit) -> Iterator[None]:
    """Turn bad input, a missing package, an unusable path or a full disk into one line.

    Warnings are printed in one line, too.

    Parameters
    ----------
    make_exit
        Makes the exception that is raised instead, from that line.
    """
    warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
    try:
        yield
    except InputError as error:
        raise make_exit(str(error)) from None
    except ModuleNotFoundError as error:
        message = describe_missing_package(error.name)
        if message is None:
            raise
        raise make_exit(message) from None
    except OSError as error:
        if error.errno in PATH_REMEDIES and error.filename is not None:
            remedy = PATH_REMEDIES[error.errno]
            message = f"{error.filename} cannot be used: {error.strerror}; {remedy}"
            raise make_exit(message) from None
        if error.errno != errno.ENOSPC:
            raise
        if error.filename is None:  # standard output: Python shall not try to flush it at the end
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = error.filename or "the output"
        raise make_exit(f"{where} cannot be written: {error.strerror}; free space") from None
