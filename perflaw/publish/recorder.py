"""Record which files of the study a notebook reads, from inside its kernel."""

import os
import sys
from collections.abc import Iterable

WRITE_FLAGS = os.O_WRONLY | os.O_RDWR


def record_reads() -> None:
    """Append what this process reads to the file PERFLAW_READS, one path a line.

    Recorded are files that are opened to be read, or looked for in vain, and, with a slash at
    the end, folders that are listed: those under PERFLAW_HOME and in the package. Files that
    compiled code opens by itself, and those that child processes read, are not seen.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = [package, *filter(None, [os.environ.get("PERFLAW_HOME")])]
    sys.addaudithook(_Recorder(folders, os.environ["PERFLAW_READS"]))


# Runs in the kernel before the notebook; leaves no name behind.
STARTUP = f"__import__({__name__!r}, fromlist=['_']).{record_reads.__name__}()\n"


class _Recorder:
    """An audit hook: called at each event of the interpreter, so it returns early."""

    def __init__(self, folders: Iterable[str], destination: str) -> None:
        self.prefixes = tuple(os.path.abspath(folder) + os.sep for folder in folders)
        self.seen: set[str] = set()
        self.file = open(destination, "a", encoding="utf-8")  # noqa: SIM115 as long as the process

    def __call__(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            if set(mode or "") & set("wax+") or (mode is None and flags & WRITE_FLAGS):
                return
            self.record(path)
        elif event in ("os.scandir", "os.listdir"):
            self.record(arguments[0], os.sep)

    def record(self, path: object, suffix: str = "") -> None:
        """Write down a path that is seen for the first time."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return  # an open file, or the current folder
        text = os.path.abspath(os.fsdecode(path)) + suffix
        if text not in self.seen and text.startswith(self.prefixes):
            self.seen.add(text)
            self.file.write(text + "\n")
            self.file.flush()
