"""How fast the law wing is: `python benchmarks/fitting.py`, under a minute on one core.

Every row is the best of three, all in one run; the last line is the headline ratio.
"""

import os
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the problems are too small to share

from perflaw.laws import families, fitting
from perflaw.study.paper import published, replication


def best_of(task, repeats=3):
    """Seconds of the fastest run, and what it returned."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = task()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main():
    """Print the times of fits, and how they compare."""
    points = published.load_surfaces()
    surfaces = [
        (surface, surface["value"]) for _, surface in points.groupby(published.SURFACE, sort=False)
    ]
    law = families.performance()

    recipe_time, recipe = best_of(
        lambda: [replication.authors_recipe(*surface)["r2"] for surface in surfaces]
    )
    search_time, fits = best_of(lambda: fitting.fit_surfaces(law, points, published.SURFACE))
    alone_time, _ = best_of(lambda: [fitting.fit(law, *surface) for surface in surfaces])
    rivals_time, _ = best_of(
        lambda: [
            fitting.fit_surfaces(rival, points, published.SURFACE)
            for rival in families.rival_laws().values()
        ]
    )
    bootstrap_time, _ = best_of(lambda: next(iter(fits.values())).bootstrap(1000))
    lower = sum(fit.r2 < r2 - 1e-6 for fit, r2 in zip(fits.values(), recipe))
    reached = sum(fit.r2 < r2 + 1e-3 for fit, r2 in zip(fits.values(), recipe))

    print(f"Python {platform.python_version()}, {platform.machine()}, one thread, best of three\n")
    print("| task | seconds |\n|---|---:|")
    print(f"| authors' recipe (curve_fit from ones), 20 surfaces | {recipe_time:.3f} |")
    print(f"| our global search, 20 surfaces together | {search_time:.3f} |")
    print(f"| our global search, 20 surfaces one by one | {alone_time:.3f} |")
    print(f"| all {len(families.rival_laws())} laws on 20 surfaces | {rivals_time:.3f} |")
    print(f"| 1,000 bootstrap fits of one surface | {bootstrap_time:.3f} |")
    print(
        f"\nthe recipe is within 0.001 of our R2 on {reached} of {len(fits)} surfaces; "
        f"we are lower on {lower}"
    )
    print(
        f"global search against the authors' recipe: {recipe_time / search_time:.1f} times as fast"
    )


if __name__ == "__main__":
    main()
