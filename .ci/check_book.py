"""Check a built book: no notebook holds an error, no page loads anything from elsewhere."""

import json
import re
import sys
from pathlib import Path

BOOK = Path("book/_build/default")
# What a browser fetches by itself; a hyperlink is not among it.
FETCHED = "script|link|img|iframe|source|video|audio|embed|object"
ELSEWHERE = r"""["']?(?:https?:)?//[^>]*"""
LOADED = {
    ".html": rf"<(?:{FETCHED})\b[^>]*?\s(?:src|href|data)={ELSEWHERE}",
    ".css": r"""(?:@import\s+|url\()\s*["']?(?:https?:)?//[^)]*""",
}


def list_errors(notebook: Path) -> list[str]:
    """List the error outputs of an executed notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    errors = [output for output in outputs if output["output_type"] == "error"]
    return [f"{notebook}: {error['ename']}: {error['evalue']}" for error in errors]


def main() -> int:
    """Print what is wrong and return how much it is."""
    notebooks = sorted((BOOK / "source" / "executed").glob("*.ipynb"))
    pages = [page for page in (BOOK / "html").rglob("*") if page.suffix in LOADED]
    faults = [error for notebook in notebooks for error in list_errors(notebook)]
    for page in pages:
        references = re.findall(LOADED[page.suffix], page.read_text(encoding="utf-8"))
        faults += [f"{page}: {reference}" for reference in references]
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(notebooks)} notebooks and {len(pages)} pages checked, {len(faults)} faults")
    return len(faults) + (not notebooks) + (not pages)


if __name__ == "__main__":
    sys.exit(bool(main()))
