"""Report code without a caller: vulture, with the code of the notebooks among the callers.

python .ci/find_unused.py
"""

import json
import re
import sys
from pathlib import Path

from vulture.config import make_config
from vulture.core import Vulture

FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)  # solutions of exercises
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def notebook_code(path: Path) -> list[str]:
    """List the code of a notebook's cells and of its solutions."""
    codes = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        codes += [source] if cell["cell_type"] == "code" else FENCED.findall(source)
    return codes


def main() -> None:
    """Print what nobody calls; fail if there is anything."""
    config = make_config([])
    vulture = Vulture(
        ignore_names=config["ignore_names"], ignore_decorators=config["ignore_decorators"]
    )
    vulture.scavenge(config["paths"])
    for path in Path("notebooks").glob("*.ipynb"):
        for code in notebook_code(path):
            vulture.scan(MAGIC.sub("", code), filename=path)
    unused = vulture.get_unused_code(min_confidence=config["min_confidence"])
    reports = [item.get_report() for item in unused if item.filename.suffix == ".py"]
    sys.exit("\n".join(reports) or 0)


if __name__ == "__main__":
    main()
