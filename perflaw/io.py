"""Reading YAML without surprises, and writing files that are complete or not there."""

from __future__ import annotations

import difflib
import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from perflaw.errors import InputError

LEADING_ZERO = re.compile(r"\s*[-+]?0\d")  # 010: 8 to some, 10 to others


class _UniqueKeyLoader(yaml.SafeLoader):
    """Reads YAML in which 1e-3 is a number, unlike in YAML 1.1, and no key is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value} is given twice; keep one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_number(self, node: yaml.ScalarNode) -> Any:
        """Refuse 010 and 1:30: YAML 1.1 reads them as 8 and 90, others as 10 and as text."""
        if LEADING_ZERO.match(node.value) or ":" in node.value:
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value} is no plain number; write its digits", node.start_mark
            )
        is_whole = node.tag.endswith("int")
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


for _tag in ("int", "float"):
    _UniqueKeyLoader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", _UniqueKeyLoader.construct_yaml_number
    )
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_yaml(path: str | os.PathLike[str]) -> Any:
    """Read a YAML file.

    Parameters
    ----------
    path : path
        A text file in UTF-8.

    Returns
    -------
    object
        What the file holds, as plain Python values; None if it is empty.

    Raises
    ------
    InputError
        If the file cannot be read, is not YAML, or gives a key twice. The message names the line
        where it is known.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "grid.yaml"
    >>> _ = path.write_text("grid: {learning_rate: [1e-3, 0.002]}")
    >>> load_yaml(path)
    {'grid': {'learning_rate': [0.001, 0.002]}}
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _UniqueKeyLoader)
    except RecursionError:
        raise InputError(f"{path} is nested too deeply; write a flat grid") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path} cannot be read ({reason}); name a YAML file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path} is no YAML{where}: {problem}") from None
    except ValueError as error:  # of a date that does not exist
        raise InputError(f"{path} is no YAML: {error}") from None


def parse_yaml(text: str) -> Any:
    """Parse a text as a value of a YAML file; return the text where it is none.

    Examples
    --------
    >>> parse_yaml("1e-3"), parse_yaml("[1, 2]"), parse_yaml("010"), parse_yaml("2026-13-01")
    (0.001, [1, 2], '010', '2026-13-01')
    """
    try:
        return yaml.load(text, _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: of a date such as 2026-13-01
        return text


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known one, or nothing.

    Examples
    --------
    >>> suggest("n_layer", ["n_layers", "d_emb"])
    '; did you mean n_layers?'
    >>> suggest("xyz", ["n_layers", "d_emb"])
    ''
    """
    nearest = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved to it at the end, or removed on an error.

    Its name is `.STEM.*.part`, so that what a killed process leaves can be recognised. Where the
    path is a link, the file that it leads to is written.

    Raises
    ------
    OSError
        If there is something else than a file, a folder or a device say, or nothing can be written.

    Examples
    --------
    >>> target = getfixture("tmp_path") / "table.csv"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("a,b")
    >>> target.read_text()
    'a,b'
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "there is something else than a file", str(path))
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem.lstrip('.')}.", suffix=".part"
    )
    os.close(handle)
    try:
        yield Path(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
