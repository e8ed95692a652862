"""What the explorer weighs and how fast it redraws in a headless Chromium.

Run `python benchmarks/explorer.py [--chromium PATH]`. One redraw is everything between a slider's
event and the laid-out page: curves, intervals, optima, chart and words. The first redraw of a
surface and law solves the law at all exponents that its interval may reach; the others move a
slider. Each surface and law once.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from perflaw.study import explorer
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file
from perflaw.study.paper import published

TIMED = """
const form = document.querySelector("div.explorer form");
const redraw = (name, value) => {
  const start = performance.now();
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - start;
};
const first = [], moved = [];
for (const surface of [...form.elements.surface.options].map((one) => one.value)) {
  redraw("surface", surface);
  for (const metric of [...form.elements.metric.options].map((one) => one.value)) {
    redraw("metric", metric);
    for (const law of [...form.elements.law.options].map((one) => one.value)) {
      first.push(redraw("law", law));
      for (const name of ["N", "d", "tokens", "apen"]) {
        const low = Number(form.elements[name].min || 0);
        const high = Number(form.elements[name].max);
        for (let value = low; value <= high; value++) moved.push(redraw(name, value));
        redraw(name, 0);
      }
    }
  }
}
document.body.innerHTML = `<pre id="times">${JSON.stringify({ first, moved })}</pre>`;
"""


def main():
    """Print the sizes of the parts, and the times of redraws."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--chromium",
        default=next(
            filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
        ),
    )
    options = parser.parse_args()
    runs = study_runs.load_study_runs()
    table = pd.concat(
        [explorer.published_surfaces(published.load_surfaces()), explorer.explorer_surfaces(runs)],
        ignore_index=True,
    )
    data = explorer.page_data(
        table,
        explorer.explorer_fits(table),
        explorer.explorer_errors(table),
        explorer.data_slopes(runs),
    )
    static = study_file("book", "_static")
    sizes = {
        "script": (static / "explorer.js").read_text(),
        "style": (static / "explorer.css").read_text(),
        "markup": explorer.explorer_markup(),
        "data": explorer.embed_json(data),
    }
    sizes = {name: len(text.encode()) / 1000 for name, text in sizes.items()}
    n_surfaces = sum(len(one["metrics"]) for one in data["surfaces"])
    print(f"{platform.processor() or platform.machine()}; {n_surfaces} surfaces\n")
    print("| part | KB |\n|---|---:|")
    print(
        "\n".join(
            f"| {name} | {size:.1f} |"
            for name, size in [*sizes.items(), ("together", sum(sizes.values()))]
        )
    )
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "explorer.html"
        page.write_text(explorer.standalone_page(data, extra=TIMED), encoding="utf-8")
        command = [
            options.chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1280,900",
            "--dump-dom",
            page.as_uri(),
        ]
        dom = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = json.loads(re.search(r'<pre id="times">(.*?)</pre>', dom)[1])
    print("\n| redraw | n | median, ms | 95 % | largest |\n|---|---:|---:|---:|---:|")
    for name, label in (("moved", "a slider moved"), ("first", "another law")):
        ms = np.array(times[name])
        print(
            f"| {label} | {len(ms)} | {np.median(ms):.1f} | {np.quantile(ms, 0.95):.1f} "
            f"| {ms.max():.1f} |"
        )


if __name__ == "__main__":
    main()
