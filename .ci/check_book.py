"""Check a built book: no executed notebook holds an error, no page loads anything from elsewhere."""

import json
import re
import sys
from pathlib import Path

BOOK = Path("book/_build/default")
# What a browser fetches by itself; a hyperlink is not among it.
LOADED = {
    ".html": r"<(?:script|link|img|iframe|source|video|audio|embed|object)\b[^>]*?\s(?:src|href|data)=[\"']?(?:https?:)?//[^>]*",
    ".css": r"(?:@import\s+|url\()\s*[\"']?(?:https?:)?//[^)]*",
}


def errors(notebook):
    """The error outputs of an executed notebook."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                yield f"{output['ename']}: {output['evalue']}"


def main():
    """Print what is wrong and return how much it is."""
    notebooks = sorted((BOOK / "source" / "executed").glob("*.ipynb"))
    pages = [page for page in (BOOK / "html").rglob("*") if page.suffix in LOADED]
    wrong = [f"{notebook}: {error}" for notebook in notebooks for error in errors(notebook)]
    for page in pages:
        found = re.findall(LOADED[page.suffix], page.read_text(encoding="utf-8"))
        wrong += [f"{page}: {reference}" for reference in found]
    print(
        "\n".join(
            [
                *wrong,
                f"{len(notebooks)} notebooks and {len(pages)} pages checked, {len(wrong)} faults",
            ]
        )
    )
    return len(wrong) + (not notebooks) + (not pages)


if __name__ == "__main__":
    sys.exit(bool(main()))
