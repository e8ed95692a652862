"""Points read from figures: drawn here with known values, and the authors' own.

These are read where PERFLAW_FIGURES names their folder.
"""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from perflaw.errors import InputError
from perflaw.study.paper import digitize, panel_view, pdf_panels, published

LAYERS, DIMENSIONS = (4, 8, 12, 16, 24, 32), (25, 50, 75, 100)


def known(seed, scale=1.0):
    """A surface with values of all digits, its rows shuffled as they are drawn."""
    grid = pd.DataFrame([(n, d) for n in LAYERS for d in DIMENSIONS], columns=["n_layers", "d_emb"])
    generator = np.random.default_rng(seed)
    return grid.assign(value=scale * (0.3 + 0.02 * generator.random(len(grid)))).sample(
        frac=1, random_state=seed
    )


def draw(path, surfaces, elev=30.0, dots=True, names=("N", "$d_{emb}$")):
    """Draw surfaces as the authors do: a translucent surface, red dots, a legend, a panel each."""
    figure = Figure(figsize=(6 * len(surfaces), 6))
    for place, table in enumerate(surfaces, 1):
        axes = figure.add_subplot(1, len(surfaces), place, projection="3d", elev=elev)
        x, y = np.meshgrid(np.linspace(4, 32, 10), np.linspace(23, 102, 10))
        axes.plot_surface(
            x,
            y,
            table["value"].mean() * (1 + 1e-3 * np.sin(x) + 1e-4 * y),
            alpha=0.7,
            cmap="viridis",
            label="Fit: R²=0.9",
        )
        if dots:
            axes.scatter(table["n_layers"], table["d_emb"], table["value"], color="red")
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        axes.set_title("Max Sequence Length = 100")
        axes.legend()
    figure.savefig(path)
    return path


@pytest.mark.integration
def test_a_drawing_is_read_back(tmp_path):
    tables = [known(0), known(1, 0.1), known(2, 5.0)]
    panels = pdf_panels.read_pdf(draw(tmp_path / "drawn.pdf", tables))
    assert len(panels) == 3
    for panel, table in zip(panels, tables):
        view = panel_view.calibrate(panel)
        assert view.residuals.max() < 2e-6
        assert np.abs(view.lines - panel.lines).max() < 2e-6
        assert "Max Sequence Length = 100" in panel.texts
        found = panel_view.locate_dots(panel, view, LAYERS, DIMENSIONS)
        table = table.sort_values(["n_layers", "d_emb"], ignore_index=True)
        assert found[["n_layers", "d_emb"]].equals(table[["n_layers", "d_emb"]])
        assert np.abs(found["read"] - table["value"]).max() < 1e-6 * table["value"].mean() / 100
        assert found["pixel_residual_pt"].max() < 2e-6
        assert found["next_pt"].min() > 1
        placed = view.project(found[["n_layers", "d_emb", "read"]])
        assert np.linalg.norm(placed[:, None] - panel.dots, axis=-1).min(1).max() < 2e-6


def test_limits_are_those_of_the_axes(tmp_path):
    table = known(3)
    (panel,) = pdf_panels.read_pdf(draw(tmp_path / "drawn.pdf", [table]))
    usual = panel_view.default_view(table)
    assert np.allclose(panel_view.calibrate(panel).limits[:2], usual.limits[:2], rtol=1e-7)
    assert usual.lines.shape == (0, 3, 2)
    inside = usual.project(table[["n_layers", "d_emb", "value"]])
    assert (inside > 0).all()
    assert (inside < panel_view.BOX[2:]).all()


def test_dots_that_are_not_the_grid_are_refused(tmp_path):
    table = known(4)
    moved = table.assign(d_emb=table["d_emb"].replace(50, 51))
    (panel,) = pdf_panels.read_pdf(draw(tmp_path / "moved.pdf", [moved]))
    view = panel_view.calibrate(panel)
    with pytest.raises(
        InputError, match="the 24 dots of a panel are not one on each of the 24 cells"
    ):
        panel_view.locate_dots(panel, view, LAYERS, DIMENSIONS)
    assert len(panel_view.locate_dots(panel, view, LAYERS, (25, 51, 75, 100))) == 24
    (panel,) = pdf_panels.read_pdf(draw(tmp_path / "fewer.pdf", [table.iloc[1:]]))
    with pytest.raises(InputError, match="the 23 dots"):
        panel_view.locate_dots(panel, panel_view.calibrate(panel), LAYERS, DIMENSIONS)


@pytest.mark.integration
def test_another_view_is_refused(tmp_path):
    (panel,) = pdf_panels.read_pdf(draw(tmp_path / "turned.pdf", [known(5)], elev=31))
    with pytest.raises(
        InputError, match=r"not in matplotlib's default view: its grid lines are off by .* pt"
    ):
        panel_view.calibrate(panel)
    (panel,) = pdf_panels.read_pdf(draw(tmp_path / "nameless.pdf", [known(5)], names=("", "")))
    with pytest.raises(InputError, match="the tick labels of a panel do not match its grid lines"):
        panel_view.calibrate(panel)


def test_what_is_no_such_pdf(tmp_path):
    (tmp_path / "text.pdf").write_text("no PDF at all")
    (tmp_path / "cut.pdf").write_bytes(draw(tmp_path / "whole.pdf", [known(6)]).read_bytes()[:5000])
    Figure().savefig(tmp_path / "empty.pdf")
    draw(tmp_path / "dotless.pdf", [known(6)], dots=False)
    for name, told in (
        ("text.pdf", "text.pdf cannot be read as a PDF"),
        ("cut.pdf", "cut.pdf cannot be read as a PDF"),
        ("absent.pdf", "absent.pdf cannot be read as a PDF: .*No such file"),
        ("empty.pdf", "does not hold three-dimensional panels with dots"),
        ("dotless.pdf", "does not hold three-dimensional panels with dots"),
    ):
        with pytest.raises(InputError, match=told) as caught:
            pdf_panels.read_pdf(tmp_path / name)
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- files


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A folder with the one figure there is, and its sha256 as the published one."""
    (tmp_path / "figures").mkdir()
    content = draw(tmp_path / "figures" / "A_HR.pdf", [known(7)]).read_bytes()
    monkeypatch.setattr(digitize, "SHA256", {"A_HR.pdf": hashlib.sha256(content).hexdigest()})
    monkeypatch.setenv("PERFLAW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PERFLAW_FIGURES", raising=False)
    return tmp_path / "figures"


def test_a_folder_by_argument_or_by_the_environment(named, monkeypatch):
    assert digitize.find_figures() == {}
    assert digitize.find_figures(named) == {"A_HR.pdf": named / "A_HR.pdf"}
    monkeypatch.setenv("PERFLAW_FIGURES", str(named))
    assert digitize.find_figures() == digitize.find_figures(named)


def test_files_that_are_missing_or_others(named):
    (named / "A_HR.pdf").write_bytes((named / "A_HR.pdf").read_bytes() + b"\n")
    with pytest.raises(
        InputError, match=r"A_HR.pdf is not the published figure: its sha256 is not"
    ):
        digitize.find_figures(named)
    for folder in (named / "nowhere", named.parent):
        with pytest.raises(
            InputError, match=r"A_HR.pdf is not there: name a folder with A_HR.pdf"
        ) as caught:
            digitize.find_figures(folder)
        assert "\n" not in str(caught.value)


@pytest.fixture
def publisher(named, monkeypatch):
    """Serves the figure, or `publisher.body`; counts requests."""

    class Published(BaseHTTPRequestHandler):
        body, requests = (named / "A_HR.pdf").read_bytes(), 0

        def do_GET(self):
            Published.requests += 1
            self.send_response(200 if self.path == "/results/A_HR.pdf" else 404)
            self.send_header("Content-Length", str(len(Published.body)))
            self.end_headers()
            self.wfile.write(Published.body)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Published)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(digitize, "REPOSITORY", f"http://127.0.0.1:{server.server_port}/results/")
    yield Published
    server.shutdown()
    server.server_close()


def test_figures_are_downloaded_once(publisher, tmp_path):
    assert digitize.find_figures("download") == {"A_HR.pdf": tmp_path / "cache" / "A_HR.pdf"}
    digitize.find_figures("download")
    assert publisher.requests == 1


def test_downloads_that_fail(publisher, tmp_path, monkeypatch):
    publisher.body = b"another file"
    with pytest.raises(
        InputError,
        match=r"A_HR.pdf is not the published file \(its checksum differs\); "
        r"download .*results/A_HR.pdf elsewhere and put it, as A_HR.pdf, into .*cache",
    ):
        digitize.find_figures("download")
    assert not list((tmp_path / "cache").glob("*"))
    monkeypatch.setattr(digitize, "REPOSITORY", "http://127.0.0.1:9/")
    with pytest.raises(
        InputError,
        match=r"could not be downloaded \(ConnectionError\); "
        r"download http://127.0.0.1:9/A_HR.pdf elsewhere",
    ) as caught:
        digitize.find_figures("download")
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the published figures


@pytest.fixture(scope="module")
def recovered():
    files = digitize.find_figures()
    if not files:
        pytest.skip("PERFLAW_FIGURES names no folder with the authors' four PDFs")
    return digitize.recover_points(files)


def test_the_record_is_reproduced(recovered):
    found, _ = recovered
    recorded = published.load_surfaces()
    mine = found[found["source_pdf"].isin(recorded["source_pdf"])].reset_index(drop=True)
    exact = recorded.columns.drop("pixel_residual_pt")
    assert len(mine) == 448
    assert mine[exact].equals(recorded[exact])
    assert np.abs(mine["pixel_residual_pt"] - recorded["pixel_residual_pt"]).max() < 5e-7
    compared = digitize.compare_points(found, recorded)
    assert (compared["rows"], compared["rows_apart"], compared["values_apart"]) == (448, 0, 0)
    assert compared["read"] < 5e-10
    assert compared["residual_pt"] < 5e-7
    assert compared["figures"] < 5e-10


def test_every_panel_is_explained(recovered):
    found, panels = recovered
    assert len(found) == 896
    assert len(panels) == 40
    assert (
        panels[["n_pt", "d_pt", "value_pt", "dot_pt"]].max(axis=None)
        < 1e-6
        < panels["next_pt"].min()
    )
    assert panels["next_pt"].min() > 2.5
    names = published.printed_fits()[["law", "metric", "dataset", "max_seq_len"]]
    ours = panels.assign(law=panels["source_pdf"].str.partition("_")[0])[names.columns]
    assert ours.equals(names)


def test_a_comparison_sees_what_differs(recovered):
    found, _ = recovered
    recorded = published.load_surfaces()
    recorded.loc[0, "value"] += 1e-4
    assert digitize.compare_points(found, recorded)["values_apart"] == 1
    assert digitize.compare_points(found, recorded.iloc[1:])["rows_apart"] == 1
    assert digitize.compare_points(found, published.load_surfaces())["values_apart"] == 0
