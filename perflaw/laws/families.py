"""Law families as data: how a metric depends on layers N, embedding dimension d, tokens D.

Every law here is linear once its exponents are fixed,

    y(x) = sum_j beta_j * phi_j(x; theta),

so a law is a list of names, bounds for the exponents theta, and one function that
returns the columns phi_j. `perflaw.laws.fitting` needs nothing else. To add a law, write a
function that returns a `Law` and decorate it with `@family`.

Most families are built from one function of one axis, the Box-Cox power

    boxcox(x; p) = (1 - x^-p) / p,    boxcox(x; 0) = ln x,

which is a power law in x, shifted and scaled so that p = 0 is inside the family and not
a singularity at its edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from numbers import Real

import numpy as np

from perflaw.errors import InputError

AXES = ("n_layers", "d_emb")
SYMBOLS = {"n_layers": "N", "d_emb": "d", "max_seq_len": "L", "tokens": "D"}
REFERENCE = {
    "n_layers": 8.0,
    "d_emb": 64.0,
    "max_seq_len": 100.0,
    "tokens": 1e6,
}  # where slopes are told

PERFORMANCE_BOUNDS = (-3.0, 3.0)  # of the exponents of the Performance Law, on every axis
POWER_BOUNDS = (0.0, 3.0)  # of a sum of powers: diminishing returns
SCALE_BOUNDS = (-1.0, 1.0)  # of one power law in parameters or compute, which span decades


@dataclass(frozen=True)
class Law:
    """A law: y = basis(x, exponents) @ linear parameters."""

    family: str
    formula: str  # TeX, without the intercept's name explained: it is b in every law
    axes: tuple[str, ...]  # the columns of `points` that it reads
    linear: tuple[str, ...]  # names of the linear parameters, the intercept first
    basis: Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]
    exponents: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # name: bounds
    options: Mapping[str, object] = field(default_factory=dict)  # what the family was called with

    @property
    def name(self) -> str:
        options = {key: value for key, value in self.options.items() if key != "axes"}
        told = ", ".join(
            f"{key} = {value:g}" if _is_number(value) else f"{key} = {value}"
            for key, value in options.items()
        )
        return f"{self.family} ({told})" if told else self.family

    @property
    def parameters(self) -> tuple[str, ...]:
        return (*self.linear, *self.exponents)


FAMILIES: dict[str, Callable[..., Law]] = {}


def register_family(build: Callable[..., Law]) -> Callable[..., Law]:
    """Register a function that builds a law under the function's name."""
    FAMILIES[build.__name__] = build
    return build


def get_law(name: str, **options) -> Law:
    """The law of that family, e.g. ``law("performance", k=4)``.

    Raises InputError for a family or an option that does not exist, and for an option of
    another type than its default.
    """
    if name not in FAMILIES:
        raise InputError(f"no law is called '{name}'; there are {', '.join(FAMILIES)}")
    accepted = {
        key: parameter.default for key, parameter in signature(FAMILIES[name]).parameters.items()
    }
    for key, value in options.items():
        if key not in accepted:
            raise InputError(
                f"the law {name} has no option '{key}'; it has {', '.join(accepted) or 'none'}"
            )
        if not _same_kind(value, accepted[key]):
            raise InputError(
                f"the option {key} of the law {name} cannot be {value!r}; its default is {accepted[key]!r}"
            )
    return FAMILIES[name](
        **{key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    )


def _same_kind(value, default):
    if isinstance(default, tuple):  # of axes
        texts = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
        return texts and 0 < len(value) == len(set(value))
    if _is_number(default):
        return _is_number(value) and bool(np.isfinite(value))
    return isinstance(value, type(default))


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def boxcox(x, p):
    """(1 - x^-p) / p, and ln x where p is 0. Shapes broadcast."""
    log_x, p = np.broadcast_arrays(np.log(x), p)
    safe = np.where(p == 0, 1.0, p)
    return np.where(p == 0, log_x, -np.expm1(-p * log_x) / safe)


def bend(x, p):
    """2 (ln x - boxcox(x; p)) / p, and ln(x)^2 where p is 0: what a power adds to ln x."""
    log_x, p = np.broadcast_arrays(np.log(x), p)
    z = p * log_x
    safe = np.where(np.abs(z) < 1e-3, 1.0, z)
    exact = (np.expm1(-safe) + safe) / safe**2
    series = 1 / 2 - z / 6 + z**2 / 24 - z**3 / 120
    return 2 * log_x**2 * np.where(np.abs(z) < 1e-3, series, exact)


def _relative(x, axis):
    """An axis in units of its reference: the same family of curves, well conditioned."""
    return x[axis] / REFERENCE.get(axis, 1.0)


def _columns(x, *columns):
    """An intercept and the given columns (each broadcasting to (..., n)) as (..., n, p)."""
    one = np.ones_like(next(iter(x.values())), dtype=float)
    return np.stack(np.broadcast_arrays(one, *columns), axis=-1)


def _named(prefix, axes):
    return tuple(f"{prefix}_{SYMBOLS.get(axis, axis)}" for axis in axes)


def _bounded(axes, bounds):
    return dict.fromkeys(_named("p", axes), bounds)


# ---------------------------------------------------------------- the paper's law


@register_family
def performance(axes=AXES, k: float = 2.0) -> Law:
    """The Performance Law with a given k (2 in the authors' script).

    The paper writes w (-1/(k x^p) - p ln x) for each axis. Divided by p, and with the
    constant 1/(k p) added, that is boxcox(x; p)/k - ln x, the same curve with another
    weight and intercept, whose limit at p = 0 is a multiple of ln x: the log-linear law.
    `paper_parameters` gives the paper's w1 ... w4 and b. The data term of the paper is
    constant on one surface and is part of b.

    Source: arXiv 2412.00430, the Performance Law, as in the authors' fitting script.
    """
    if k == 0:
        raise InputError("k = 0 divides by zero in the Performance Law; give another k")
    if k == 1:
        raise InputError(
            "with k = 1 the Performance Law's term vanishes at p = 0, towards which it is a parabola in ln x; take the law log_quadratic, or another k"
        )

    def basis(x, theta):
        return _columns(
            x, *(boxcox(x[a], theta[..., i, None]) / k - np.log(x[a]) for i, a in enumerate(axes))
        )

    formula = r"b + \sum_x w_x\left(\frac{1-x^{-p_x}}{k\,p_x} - \ln x\right)"
    bounds = _bounded(axes, PERFORMANCE_BOUNDS)
    return Law(
        "performance",
        formula,
        axes,
        ("b", *_named("w", axes)),
        basis,
        bounds,
        {"axes": axes, "k": k},
    )


@register_family
def performance_free_k(axes=AXES) -> Law:
    """The Performance Law with one free k per axis, of either sign and without limit.

    With k free each axis contributes a ln x + c bend(x; p): two linear parameters. It
    holds the log-linear law (c = 0) and, at p = 0, the additive log-quadratic law.
    """

    def basis(x, theta):
        scaled = [_relative(x, axis) for axis in axes]
        pairs = ((np.log(s), bend(s, theta[..., i, None])) for i, s in enumerate(scaled))
        return _columns(x, *(column for pair in pairs for column in pair))

    names = tuple(name for pair in zip(_named("a", axes), _named("c", axes)) for name in pair)
    formula = r"b + \sum_x \left(a_x\ln x + c_x\,\frac{2}{p_x}\left(\ln x-\frac{1-x^{-p_x}}{p_x}\right)\right)"
    bounds = _bounded(axes, PERFORMANCE_BOUNDS)
    return Law("performance_free_k", formula, axes, ("b", *names), basis, bounds, {"axes": axes})


@register_family
def performance_kappa(axes=AXES, kappa: float = 1.0) -> Law:
    """W (ln x - kappa x^-p) for each axis: the form drawn on the paper's industrial log.

    It is the Performance Law with kappa = -1/(k p), kappa held instead of k.
    """

    def basis(x, theta):
        return _columns(
            x, *(np.log(x[a]) - kappa * x[a] ** -theta[..., i, None] for i, a in enumerate(axes))
        )

    formula = r"b + \sum_x w_x\left(\ln x - \kappa\,x^{-p_x}\right)"
    bounds, options = _bounded(axes, PERFORMANCE_BOUNDS), {"axes": axes, "kappa": kappa}
    return Law(
        "performance_kappa", formula, axes, ("b", *_named("w", axes)), basis, bounds, options
    )


def paper_surface(points, w1, w2, w3, w4, w5, b, D, k=2.0):
    """The law exactly as published, seven parameters and k; it takes complex ones too.

    `points` has n_layers and d_emb; D is one number for the whole surface.
    Source: arXiv 2412.00430, as in the authors' fitting script (there k = k' = 2).
    """

    def term(x, p):
        return -1 / (k * x**p) - p * np.log(x)

    n, d = (np.asarray(points[axis], float) for axis in AXES)
    return w1 * term(n, w3) + w2 * term(d, w4) + term(D, w5) + b


def paper_jacobian(points, parameters: Mapping[str, float], k=2.0) -> np.ndarray:
    """Derivatives (n, 7) of `paper_surface` by w1 ... w5, b and D, exact by complex steps."""
    columns = []
    for name in parameters:
        shifted = {key: value + 1e-30j * (key == name) for key, value in parameters.items()}
        columns.append(np.imag(paper_surface(points, **shifted, k=k)) / 1e-30)
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def paper_parameters(parameters: Mapping[str, float], k: float = 2.0) -> dict[str, float]:
    """The paper's w1, w2, w3, w4 and b (data term included) of a fitted `performance` law.

    Infinite where an exponent is 0: the paper's form reaches its log-linear limit only there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.array([parameters["p_N"], parameters["p_d"]], float)
        w = np.array([parameters["w_N"], parameters["w_d"]], float) / p
        b = parameters["b"] + np.sum(w / k)
    return {"w1": w[0], "w2": w[1], "w3": p[0], "w4": p[1], "b": float(b)}


# ---------------------------------------------------------------- its rivals


@register_family
def constant(axes=AXES) -> Law:
    """The mean: the floor of every table."""
    return Law("constant", "b", axes, ("b",), lambda x, theta: _columns(x), options={"axes": axes})


@register_family
def log_linear(axes=AXES) -> Law:
    """Linear in the logarithms: the baseline drawn in the paper's figures, by least squares."""

    def basis(x, theta):
        return _columns(x, *(np.log(x[a]) for a in axes))

    return Law(
        "log_linear",
        r"b + \sum_x a_x\ln x",
        axes,
        ("b", *_named("a", axes)),
        basis,
        options={"axes": axes},
    )


@register_family
def log_quadratic(axes=AXES, interaction: bool = False) -> Law:
    """A parabola in each logarithm, with or without the products of two logarithms."""
    crossed = [(i, j) for i in range(len(axes)) for j in range(i)] if interaction else []

    def basis(x, theta):
        logs = [np.log(x[a]) for a in axes]
        squares = [value**2 for value in logs]
        return _columns(x, *logs, *squares, *(logs[i] * logs[j] for i, j in crossed))

    product = r" + e\,\ln N\ln d" if interaction else ""
    formula = r"b + \sum_x \left(a_x\ln x + c_x\ln^2 x\right)" + product
    symbols = [SYMBOLS.get(axis, axis) for axis in axes]
    linear = (
        "b",
        *_named("a", axes),
        *_named("c", axes),
        *(f"e_{symbols[j]}{symbols[i]}" for i, j in crossed),
    )
    options = {"axes": axes} | ({"interaction": True} if interaction else {})
    return Law("log_quadratic", formula, axes, linear, basis, options=options)


@register_family
def sum_of_powers(axes=AXES) -> Law:
    """A sum of one power law per axis (Hoffmann et al. 2022, equation 2: the Chinchilla form)."""

    def basis(x, theta):
        return _columns(
            x, *(boxcox(_relative(x, a), theta[..., i, None]) for i, a in enumerate(axes))
        )

    formula = r"b + \sum_x a_x\,\frac{1-x^{-p_x}}{p_x}"
    bounds = _bounded(axes, POWER_BOUNDS)
    return Law(
        "sum_of_powers", formula, axes, ("b", *_named("a", axes)), basis, bounds, {"axes": axes}
    )


@register_family
def parameter_power() -> Law:
    """One power law in non-embedding parameters (Kaplan et al. 2020, equation 1.1)."""

    def weights(n_layers, d_emb):
        size = parameters_by_group(n_layers, d_emb)
        return size["attention"] + size["feed_forward"]

    reference = weights(REFERENCE["n_layers"], REFERENCE["d_emb"])

    def basis(x, theta):
        return _columns(
            x, boxcox(weights(x["n_layers"], x["d_emb"]) / reference, theta[..., 0, None])
        )

    formula = r"b + a\,\frac{1-P^{-p}}{p}"
    return Law("parameter_power", formula, AXES, ("b", "a_P"), basis, {"p_P": SCALE_BOUNDS})


@register_family
def compute_power() -> Law:
    """One power law in training compute: "more compute is what you need".

    On one surface tokens and epochs are the same everywhere, so FLOPs per token stand in.
    """
    axes = (*AXES, "max_seq_len")
    reference = flops_per_token(**{axis: REFERENCE[axis] for axis in axes})

    def basis(x, theta):
        flops = flops_per_token(**{axis: x[axis] for axis in axes})
        return _columns(x, boxcox(flops / reference, theta[..., 0, None]))

    formula = r"b + a\,\frac{1-C^{-p}}{p}"
    return Law("compute_power", formula, axes, ("b", "a_C"), basis, {"p_C": SCALE_BOUNDS})


def with_bounds(law: Law, low: float, high: float) -> Law:
    """The same law with other bounds on all its exponents."""
    return replace(law, exponents=dict.fromkeys(law.exponents, (low, high)))


def rival_laws() -> dict[str, Law]:
    """The laws that every table of the study compares, by the names used there."""
    return {
        "constant": constant(),
        "log-linear": log_linear(),
        "log-quadratic": log_quadratic(),
        "log-quadratic, interaction": log_quadratic(interaction=True),
        "sum of powers": sum_of_powers(),
        "power of parameters": parameter_power(),
        "power of compute": compute_power(),
        "Performance Law, k = 2": performance(),
        "Performance Law, free k": performance_free_k(),
    }


# ---------------------------------------------------------------- parameters and compute


# weights in units of d², by layer: attention, feed-forward part
LAYER_WEIGHTS = {
    "llama": (
        4,
        8,
    ),  # query, key, value, output; three matrices of width 8 d / 3 (SwiGLU; in eights, rounded up) or two of 4 d
    "sasrec": (4, 2),  # the same; two matrices of width d
    "hstu": (5, 0),  # query, key, value, gate, output; no feed-forward part
    "gru": (
        7,
        2,
    ),  # in place of attention three gates, each of the input and of the state, and output; two matrices of width d
    "mamba": (4, 0),  # in its place two into the block, steps, output; no feed-forward part
}
NARROW = {
    "mamba": 20
}  # weights in units of d, by layer: 8 numbers of state written and read, 4 places of a convolution
STATE_SIZES = {
    "gru": 0,
    "mamba": 8,
}  # recurrent backbones attend to nothing; a number of state of each channel costs what an attended position does


def parameters_by_group(n_layers, d_emb, n_items=0, backbone="llama") -> dict[str, np.ndarray]:
    """Trainable parameters by group of a decoder with tied item embeddings.

    Per layer `LAYER_WEIGHTS` times d^2, `NARROW` times d, and two norms (one in Mamba); a last norm; one gain a dimension
    each. Biases, positions and what Mamba has by channel are left out. `models.parameters` counts everything.
    """
    n, d, v = (np.asarray(value, float) for value in (n_layers, d_emb, n_items))
    attention, feed_forward = LAYER_WEIGHTS[backbone]
    mixing, norms = (
        attention * n * d**2 + NARROW.get(backbone, 0) * n * d,
        1 if backbone == "mamba" else 2,
    )
    return {
        "embedding": v * d,
        "attention": mixing,
        "feed_forward": feed_forward * n * d**2,
        "norm": (norms * n + 1) * d,
    }


def flops_per_token(n_layers, d_emb, max_seq_len, n_scored=1, backbone="llama"):
    """Floating-point operations to train on one token, forward and backward.

    Two per weight and token, 4 d per attended position in each layer (scores and
    mixing; a causal mask leaves (L + 1)/2 of L positions on average; a recurrent backbone
    has `STATE_SIZES` in their place), 2 d per item scored by the output layer; the backward pass costs twice the forward pass. Training
    compute is this times tokens times epochs.
    """
    weights = parameters_by_group(n_layers, d_emb, backbone=backbone)
    length = np.asarray(max_seq_len, float)
    positions = (
        np.full_like(length, STATE_SIZES[backbone]) if backbone in STATE_SIZES else (length + 1) / 2
    )
    n, d = np.asarray(n_layers, float), np.asarray(d_emb, float)
    forward = (
        2 * (weights["attention"] + weights["feed_forward"])
        + 4 * n * d * positions
        + 2 * d * n_scored
    )
    return 3 * forward
