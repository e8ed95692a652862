"""The explorer: laws, intervals and optima computed in the reader's browser, and the same here.

Given its exponents a law is least squares on some dozen points, which a browser solves in no
time (book/_static/explorer.js). So the page carries of each surface its points, and of each law
the fitted exponents and those over which `fitting.Fit.interval` takes its union. The rest is
computed there, by the steps of `computation` and of `fitting`; a test holds the two against each
other in a browser.

Data enter by one number a log, the slope of ln metric on ln tokens (`data_slopes`). That
tokens / ApEn takes the place of tokens is the paper's claim, and an assumption here.
"""

from importlib import import_module

_MODULES = {
    "computation": ("best_place", "indistinguishable_range", "predict_cell", "turning_place"),
    "growth": ("data_effect", "data_slopes"),
    "page": ("embed_json", "explorer_markup", "pack_floats", "page_data", "standalone_page"),
    "surfaces": (
        "EXPLORER_LAWS",
        "SURFACE",
        "explorer_errors",
        "explorer_fits",
        "explorer_surfaces",
        "published_surfaces",
    ),
}
_FRONT_DOORS = {
    name: f"perflaw.study.explorer.{module}" for module, names in _MODULES.items() for name in names
}
__all__ = sorted(_FRONT_DOORS)


def __getattr__(name: str) -> object:
    if name not in _FRONT_DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FRONT_DOORS[name]), name)


def __dir__() -> list[str]:
    return __all__
