"""Laws: how a metric depends on model size and data, fitted, judged and put to use."""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "families": ["get_law"],
    "fitting": ["fit"],
    "mixed": ["fit_mixed"],
    "optimum": ["find_optimum"],
    "prediction": ["FitWarning", "predict"],
    "regressor": ["LawRegressor"],
    "serialization": ["load_fit", "save_fit"],
    "validation": ["compare_laws"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
