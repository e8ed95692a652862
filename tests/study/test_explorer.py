"""The explorer: its surfaces and data slopes, and that a browser computes what Python does."""

import base64
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from perflaw.laws import families, optimum, turning
from perflaw.laws.profile import landscape, nearby_exponents
from perflaw.models.sweeps import results
from perflaw.study import explorer
from perflaw.study.analysis import study_runs
from perflaw.study.files import study_file
from perflaw.study.paper import published

pytestmark = pytest.mark.integration

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")
PAGE = (
    "document.body.innerHTML = '<pre id=\"told\"></pre>';"
    "document.getElementById('told').textContent = JSON.stringify(told);"
)
ASKED = [
    (0.0, 1.0, 1.0),
    (0.5, 0.3, 4.0),
    (1.0, 0.6, 0.3),
]  # places on the sliders, and times the data
COMPUTED = """
  const lawsOf = (surface) => Object.keys(mathematics.LAWS).filter((_, i) => surface.laws[i]);
  const told = mathematics.surfacesOf(data).flatMap((surface) => lawsOf(surface).map((law) => {
    const model = mathematics.solve(data, surface, law);
    const at = (axis, share) => {
      const stops = mathematics.ladder(data.grids[surface.grid][axis]);
      return stops[Math.floor(share * (stops.length - 1))];
    };
    return {
      key: [surface.name, surface.metric], law, good: model.good,
      best: [0, 1].map((axis) => mathematics.best(model, axis)),
      turn: [0, 1].map((axis) => mathematics.turn(model, axis))
        .map((x) => (Number.isFinite(x) ? x : null)),
      points: ASKED.map(([n, d, ratio]) => [at("N", n), at("d", d), ratio]).map(
        (point) => [...point, ...Object.values(
          mathematics.predict(model, ...point, data.effects[surface.effect]))]),
    };
  }));
""".replace("ASKED", json.dumps(ASKED))


@pytest.fixture(scope="module")
def runs():
    return study_runs.load_study_runs()


@pytest.fixture(scope="module")
def laptop():
    return results.read_runs_table("laptop")


@pytest.fixture(scope="module")
def table(runs):
    return pd.concat(
        [explorer.published_surfaces(published.load_surfaces()), explorer.explorer_surfaces(runs)],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def fits(table):
    return explorer.explorer_fits(table)


@pytest.fixture(scope="module")
def slopes(runs):
    return explorer.data_slopes(runs)


@pytest.fixture(scope="module")
def data(table, fits, slopes):
    """What the page carries, with errors made up, which take longest."""
    rows = [dict(zip(explorer.SURFACE, key), law=law) for key, its in fits.items() for law in its]
    judged = pd.DataFrame(rows).assign(
        **dict.fromkeys(("leave-one-out", "largest N", "largest d"), 12.34)
    )
    return explorer.page_data(table, fits, judged, slopes)


def dumped(page, path, width=1280):
    """The page as Chromium leaves it, and what it wrote into the element `told`."""
    path.write_text(page, encoding="utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=5000",
        f"--window-size={width},900",
        "--dump-dom",
        path.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    return json.loads(html.unescape(re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)[1]))


# The browser


def agree(told, data, fits):
    """Every number of COMPUTED is Python's, to 1e-9."""
    effects = {
        (of["name"], one["metric"]): data["effects"][one["effect"]]
        for of in data["surfaces"]
        for one in of["metrics"]
    }
    for one in told:
        key = tuple(one["key"])
        fit = fits[key][one["law"]]
        for n, d, ratio, *numbers in one["points"]:
            np.testing.assert_allclose(
                numbers,
                explorer.predict_cell(fit, n, d, ratio, effects[key]),
                rtol=1e-9,
                err_msg=str((*key, one["law"], n, d, ratio)),
            )
        for axis, best, turn, good in zip(families.AXES, one["best"], one["turn"], one["good"]):
            known = explorer.turning_place(fit, axis)
            assert best == pytest.approx(explorer.best_place(fit, axis), rel=1e-9)
            far = (
                known > 100 * fit.points[axis].max()
            )  # where the curve is straight but for rounding
            assert (turn is None and not np.isfinite(known)) or turn == pytest.approx(
                known, rel=1e-6 if far else 1e-9
            )
            assert good == pytest.approx(explorer.indistinguishable_range(fit, axis), rel=1e-9)


@browser
def test_a_browser_computes_what_python_does(data, fits, tmp_path):
    extra = f"""
      const data = JSON.parse(document.getElementById('explorer-data').textContent);
      const mathematics = window.perflawExplorer;
      {COMPUTED} {PAGE}
    """
    told = dumped(explorer.standalone_page(data, extra=extra), tmp_path / "page.html")
    assert len(told) == sum(map(len, fits.values()))
    agree(told, data, fits)


@pytest.mark.skipif(not shutil.which("node"), reason="needs node, which is not installed")
def test_node_computes_what_python_does(data, fits, tmp_path):
    (tmp_path / "data.json").write_text(json.dumps(data))
    script = study_file("book", "_static", "explorer.js")
    code = f"""
      const data = require('./data.json');
      const mathematics = require({json.dumps(str(script))});
      {COMPUTED} console.log(JSON.stringify(told));
    """
    told = subprocess.run(
        ["node", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    agree(json.loads(told)[::5], data, fits)


MOVED = """
  const form = document.querySelector("div.explorer form");
  const root = document.querySelector("div.explorer");
  const set = (name, value) => {
    form.elements[name].value = value;
    form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  };
  const numbers = (where) =>
    [...root.querySelectorAll(`.explorer-${where} data`)].map((element) => Number(element.value));
  const label = (name) => form.elements[name].closest("label").lastElementChild.textContent;
  const now = () => ({
    shown: Object.fromEntries(["N", "d", "tokens", "apen"].map((name) => [name, label(name)])),
    spoken: form.elements.N.getAttribute("aria-valuetext"),
    answer: numbers("answer"), words: numbers("words"),
    text: root.querySelector(".explorer-words").textContent,
    chart: root.querySelector("svg").getAttribute("aria-label"),
    panels: root.querySelectorAll(".band").length,
  });
  const told = [now()];
  set("surface", "ml-100k, softmax"); set("metric", "NDCG@10");
  set("law", "log-quadratic"); set("N", 0); set("tokens", 4); set("apen", 8);
  told.push(now());
  set("along", "d");
  told.push(now());
  form.dispatchEvent(new Event("reset", { bubbles: true, cancelable: true }));
  told.push(now());
"""


@browser
def test_moving_a_control_changes_what_is_shown(data, fits, slopes, tmp_path):
    first, moved, one, back = dumped(
        explorer.standalone_page(data, extra=MOVED + PAGE), tmp_path / "page.html"
    )
    assert first["shown"] == {"N": "16", "d": "75", "tokens": "× 1", "apen": "× 1"}
    assert first["spoken"] == "16 layers"
    assert first["answer"] == pytest.approx(
        explorer.predict_cell(
            fits["MovieLens-1M, L 100", "HR@10"]["Performance Law, k = 2"], 16, 75
        ),
        rel=1e-9,
    )
    assert "borrowed from" in first["text"]
    assert first["panels"] == 2

    fit = fits["ml-100k, softmax", "NDCG@10"]["log-quadratic"]
    effect = explorer.data_effect(slopes, "ml-100k", "NDCG@10")
    top = [explorer.best_place(fit, axis) for axis in families.AXES]
    assert moved["shown"] == {
        "N": "1",
        "d": "32",
        "tokens": "× 2 (196,000)",
        "apen": "× 4 (0.0874)",
    }
    assert moved["answer"] == pytest.approx(
        explorer.predict_cell(fit, 1, 32, 0.5, effect), rel=1e-9
    )
    assert moved["words"][:5] == pytest.approx(
        [*top, *explorer.predict_cell(fit, *top, 0.5, effect)], rel=1e-9
    )
    assert "borrowed" not in moved["text"]
    assert "N = 1 and d = 32" in moved["chart"]
    assert one["panels"] == 1
    assert one["answer"] == moved["answer"]
    data = {"tokens": "× 1 (98,100)", "apen": "× 1 (0.0219)"}
    assert back["shown"] == {"N": "4", "d": "32"} | data


@browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(data, theme, tmp_path):
    inside = json.dumps(explorer.standalone_page(data, theme)).replace("</", "<\\/")
    page = f"""<body><iframe id="phone" width="390" height="844" style="border: 0"></iframe><script>
      const phone = document.getElementById("phone");
      phone.onload = () => {{
        const page = phone.contentDocument.documentElement;
        const parts = [...page.querySelectorAll("select, input, svg")];
        const ends = parts.map((x) => x.getBoundingClientRect().right);
        const told = [page.clientWidth, page.scrollWidth, ...ends];
        {PAGE}
      }};
      phone.srcdoc = {inside};
    </script></body>"""
    width, needed, *edges = dumped(page, tmp_path / "page.html")
    assert needed <= width <= 390
    assert len(edges) == 9
    assert max(edges) <= width


def test_it_is_small(data):
    static = study_file("book", "_static")
    texts = [
        (static / name).read_text(encoding="utf-8") for name in ("explorer.js", "explorer.css")
    ]
    assert (
        sum(
            len(text.encode())
            for text in [*texts, explorer.explorer_markup(), explorer.embed_json(data)]
        )
        < 60_000
    )
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(", "".join(texts))


def test_every_control_has_a_label_and_there_are_words_without_scripts():
    markup = explorer.explorer_markup()
    assert (
        len(re.findall(r"<(?:select|input)\b", markup))
        == len(re.findall(r"<label><span>[^<]+</span> <(?:select|input)\b", markup))
        == 8
    )
    assert "<noscript>" in markup
    assert 'role="status"' in markup


def test_a_script_cannot_end_early():
    assert "</script><b>" not in explorer.embed_json({"name": "</script><b>"})


# Surfaces


def test_surfaces_of_sweeps_are_means_over_seeds(laptop):
    table = explorer.explorer_surfaces(laptop)
    assert table.groupby(explorer.SURFACE).size().to_dict() == {
        ("ml-100k, softmax", "HR@10"): 16,
        ("ml-100k, softmax", "NDCG@10"): 16,
    }
    means = results.aggregate_seeds(laptop).set_index(list(families.AXES))["NDCG@10"]
    found = table[table["metric"] == "NDCG@10"].set_index(list(families.AXES))["value"]
    np.testing.assert_allclose(found, means[found.index], rtol=1e-4)
    assert table["own"].all()
    assert (table["tokens"] == 98114).all()


def test_surfaces_are_told_apart_and_small_ones_left_out(laptop):
    several = [
        laptop,
        laptop.assign(dropout=0.5),
        laptop.assign(backbone="hstu"),
        laptop[laptop["n_layers"] == 1].assign(backbone="llama"),
    ]
    names = explorer.explorer_surfaces(pd.concat(several, ignore_index=True))["name"]
    assert set(names) == {
        "ml-100k, softmax, dropout 0.2",
        "ml-100k, softmax, dropout 0.5",
        "ml-100k, hstu, softmax",
    }
    assert explorer.explorer_surfaces(
        laptop.assign(**{"NDCG@10 se": laptop["NDCG@10"] / 4})
    ).empty  # hardly sure of anything
    assert explorer.explorer_surfaces(laptop[:0]).empty
    assert explorer.data_slopes(laptop[:0]).empty
    alone = pd.concat(
        [
            explorer.published_surfaces(published.load_surfaces()),
            explorer.explorer_surfaces(laptop[:0]),
        ]
    )
    assert all(map(pd.api.types.is_numeric_dtype, alone.dtypes[[*families.AXES, "value"]]))


def test_a_law_that_the_values_do_not_determine_is_left_out(table):
    two = table[(table["name"] == "MovieLens-1M, L 100") & table["n_layers"].isin([4, 32])]
    assert set(explorer.explorer_fits(two)["MovieLens-1M, L 100", "HR@10"]) == {"log-linear"}


# Data


def test_a_slope_is_recovered(laptop):
    level = laptop["d_emb"].map({8: 0.05, 16: 0.06, 32: 0.07, 64: 0.08})
    noise = np.random.default_rng(0).normal(0, 0.02, len(laptop))
    found = explorer.data_slopes(
        laptop.assign(**{"NDCG@10": level * (laptop["tokens"] / 1e5) ** 0.3 * np.exp(noise)}),
        ["NDCG@10"],
    ).iloc[0]
    assert abs(found["slope"] - 0.3) < found["reach"] < 0.02
    assert found["runs"] == 27
    assert found["least"] == pytest.approx(10314 / 98114)


def test_an_effect_says_from_where_it_is():
    slopes = pd.DataFrame(
        {
            "log": ["shop", "ml-1m"],
            "metric": "HR@10",
            "slope": [0.2, 0.3],
            "reach": 0.02,
            "runs": 20,
            "least": [0.1, 0.2],
        }
    )
    effect = lambda log: explorer.data_effect(slopes, log, "HR@10")  # noqa: E731
    assert effect("shop") == {"slope": 0.2, "reach": 0.02, "least": 0.1, "source": ""}
    assert effect("MovieLens-1M") == {"slope": 0.3, "reach": 0.02, "least": 0.2, "source": "ml-1m"}
    lent = effect("Industrial")
    assert lent["source"] == "shop, ml-1m"
    assert lent["slope"] == pytest.approx(0.25)
    assert lent["reach"] > 0.1
    assert lent["least"] == 0.1
    assert explorer.data_effect(slopes[:1], "Industrial", "HR@10")["source"] == "shop"
    assert explorer.data_effect(slopes[:0], "Industrial", "HR@10") is None


# Predictions and optima


def test_a_prediction_is_the_interval_of_the_fit(fits, slopes):
    fit = fits["Industrial, L 25", "HR@10"]["sum of powers"]
    told = fit.interval(pd.DataFrame({"n_layers": [20], "d_emb": [300]})).iloc[0]
    effect = explorer.data_effect(slopes, "ml-100k", "HR@10")
    same = explorer.predict_cell(fit, 20, 300, 1.0, effect)
    assert same == pytest.approx(tuple(told[["prediction", "low", "high"]]))
    assert same == explorer.predict_cell(fit, 20, 300)
    value, low, high = explorer.predict_cell(fit, 20, 300, 2.0, effect)
    assert value == pytest.approx(2 ** effect["slope"] * same[0])
    assert high - low > 2 ** effect["slope"] * (same[2] - same[1])


def test_turns_and_bests_are_those_of_planning(fits):
    for key in (("MovieLens-1M, L 100", "HR@10"), ("KuaiRand-Pure, L 50", "NDCG@10")):
        for fit in fits[key].values():
            top = optimum.find_optimum(fit, n_draws=1)
            for axis in families.AXES:
                known, found = turning.turning_point(fit, axis), explorer.turning_place(fit, axis)
                if known.kind == "maximum":
                    assert found == pytest.approx(known.estimate, rel=1e-5)
                else:
                    assert not 1 < found < turning.REACH * fit.points[axis].max()
                assert explorer.best_place(fit, axis) == pytest.approx(
                    getattr(top, axis), rel=0.03
                )  # its grid's step


def test_as_good_holds_the_best_and_grows_with_the_level(fits):
    for law, fit in fits["MovieLens-1M, L 200", "HR@10"].items():
        for axis in families.AXES:
            low, high = explorer.indistinguishable_range(fit, axis)
            step = (fit.points[axis].max() / fit.points[axis].min()) ** (1 / 30)
            assert low / step <= explorer.best_place(fit, axis) <= high * step, law
            wider = explorer.indistinguishable_range(fit, axis, 0.99)
            assert wider[0] <= low
            assert high <= wider[1]


def test_exponents_are_packed_to_the_last_bit(data, fits):
    for of in data["surfaces"][:3]:
        fit = fits[of["name"], "HR@10"]["sum of powers"]
        reach, direction = nearby_exponents(fit)
        told = np.frombuffer(
            base64.b64decode(
                of["metrics"][0]["laws"][explorer.EXPLORER_LAWS.index("sum of powers")][3]
            ),
            "<f8",
        )
        np.testing.assert_array_equal(
            told, [*fit.parameters[["p_N", "p_d"]], *(reach[:, None] * direction.T).ravel()]
        )


def test_nearby_exponents_are_what_they_were(fits):
    """The page builds from three standard errors the lattice of `profile.landscape`."""
    fit = fits["MovieLens-1M, L 100", "HR@10"]["Performance Law, k = 2"]
    reach, direction = nearby_exponents(fit)
    corner = fit.parameters[["p_N", "p_d"]].to_numpy() + reach @ direction.T
    low, high = families.PERFORMANCE_BOUNDS
    np.testing.assert_allclose(landscape(fit)[0][-1], np.clip(corner, low, high), rtol=1e-12)
