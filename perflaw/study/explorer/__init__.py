"""The explorer: laws, intervals and optima computed in the reader's browser, and the same here.

Given its exponents a law is least squares on some dozen points, which a browser solves in no
time (book/_static/explorer.js). So the page carries of each surface its points, and of each law
the fitted exponents and those over which `fitting.Fit.interval` takes its union. The rest is
computed there, by the steps of `computation` and of `fitting`; a test holds the two against each
other in a browser.

Data enter by one number a log, the slope of ln metric on ln tokens (`data_slopes`). That
tokens / ApEn takes the place of tokens is the paper's claim, and an assumption here.
"""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "computation": ["best_place", "indistinguishable_range", "predict_cell", "turning_place"],
    "growth": ["data_effect", "data_slopes"],
    "page": ["embed_json", "explorer_markup", "pack_floats", "page_data", "standalone_page"],
    "surfaces": [
        "EXPLORER_LAWS",
        "SURFACE",
        "explorer_errors",
        "explorer_fits",
        "explorer_surfaces",
        "published_surfaces",
    ],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
