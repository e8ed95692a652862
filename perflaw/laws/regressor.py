"""Laws as scikit-learn regressors, for `cross_val_score` and `GridSearchCV`."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd

from perflaw.errors import require
from perflaw.laws.checks import SEED
from perflaw.laws.families import FAMILIES, Array, Law, get_law
from perflaw.laws.fitting import fit

require("sklearn")

from sklearn.base import BaseEstimator, RegressorMixin  # noqa: E402
from sklearn.utils.validation import (  # noqa: E402
    check_is_fitted,
    check_non_negative,
    validate_data,
)


class LawRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A law of the axes in X, fitted by variable projection.

    Parameters
    ----------
    law : str or Law
        A family's name, or a law.
    options : mapping, optional
        Options of the family that `law` names, e.g. ``{"k": 4.0}``.
    axes : sequence of str, optional
        The axis that each column of X is. By default the names of X's columns, or, for an array,
        the law's own axes in order; where their number differs from that of the columns, and the
        family takes any axes, these are called x0, x1, ....
    loss : str
        'squares', 'huber' or 'consensus', as in `perflaw.laws.fit`.
    offset : float
        Added to every value of X before the law reads it; 1 makes room for features that may be 0.

    Attributes
    ----------
    fit_ : Fit
        The fitted law: parameters, status, intervals.
    n_features_in_ : int
        How many columns X had.
    feature_names_in_ : numpy.ndarray of str
        Their names, where X was a table.

    Notes
    -----
    Laws are functions of sizes, so every value of X, `offset` included, must be 1 or more.
    Repeated rows of X count as repeated runs. Predictions are the law's own values, not clipped
    to [0, 1].

    Examples
    --------
    >>> import pandas as pd
    >>> from perflaw.laws import LawRegressor
    >>> X = pd.DataFrame({"n_layers": [2, 2, 8, 8, 32], "d_emb": [16, 64, 16, 64, 128]})
    >>> model = LawRegressor("log_linear").fit(X, [0.10, 0.13, 0.12, 0.15, 0.19])
    >>> model.predict(X).round(2).tolist()
    [0.1, 0.13, 0.12, 0.15, 0.19]
    """

    def __init__(
        self,
        law: str | Law = "performance",
        options: Mapping[str, Any] | None = None,
        axes: tuple[str, ...] | None = None,
        loss: str = "squares",
        offset: float = 0.0,
    ) -> None:
        self.law = law
        self.options = options
        self.axes = axes
        self.loss = loss
        self.offset = offset

    def fit(self, X: Any, y: Any) -> LawRegressor:  # noqa: N803 - scikit-learn's name
        """Fit the law to X (n, axes), an array or a table, and y (n,).

        Raises
        ------
        ValueError
            As `perflaw.laws.fit` and scikit-learn's checks do.
        """
        sizes, values = validate_data(self, X, y, dtype=float, y_numeric=True, ensure_min_samples=2)
        check_non_negative(sizes, "LawRegressor")
        names = self._axis_names(sizes.shape[1])
        if SEED in names:
            raise ValueError("an axis cannot be called 'seed'; rename the column")
        law = self._build_law(names)
        points = pd.DataFrame(sizes + self.offset, columns=list(names))
        runs = points.assign(**{SEED: np.arange(len(points))})
        self.fit_ = fit(law, runs, values.astype(float), self.loss)
        self._axes = names
        return self

    def predict(self, X: Any) -> Array:  # noqa: N803 - scikit-learn's name
        """Return the law's values (n,) at X (n, axes)."""
        check_is_fitted(self)
        sizes = validate_data(self, X, dtype=float, reset=False)
        return self.fit_.predict(pd.DataFrame(sizes + self.offset, columns=list(self._axes)))

    def _axis_names(self, n_features: int) -> tuple[str, ...]:
        if self.axes is not None:
            if len(self.axes) != n_features:
                raise ValueError(
                    f"X has {n_features} columns, but axes names {len(self.axes)}: "
                    f"{', '.join(self.axes)}"
                )
            return tuple(self.axes)
        if hasattr(self, "feature_names_in_"):
            return tuple(self.feature_names_in_)
        default = self.law.axes if isinstance(self.law, Law) else get_law(self.law).axes
        if len(default) == n_features or not self._takes_axes():
            return default[:n_features]
        return tuple(f"x{i}" for i in range(n_features))

    def _takes_axes(self) -> bool:
        """Whether the law can be built for any axes."""
        family = FAMILIES.get(self.law) if isinstance(self.law, str) else None
        return family is not None and "axes" in signature(family).parameters

    def _build_law(self, names: tuple[str, ...]) -> Law:
        if isinstance(self.law, Law):
            if self.options:
                raise ValueError(
                    "options are of a family that is named, and this law is made already; "
                    "make it with them, or name its family"
                )
            return self.law
        options = dict(self.options or {})
        if self._takes_axes():
            options.setdefault("axes", names)
        return get_law(self.law, **options)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
