"""The pages of the built book, the explorer alone and a report, in a real browser."""

import functools
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag

import pytest
from simulated_pilots import FLOOR, report_values, simulate_pilot

from perflaw.logs import synthetic
from perflaw.report import conclusions, render
from perflaw.study import explorer

pytestmark = pytest.mark.book

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright, which is not installed"
)
Axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe, which is not installed"
).Axe

HTML = Path(__file__).parents[2] / "book" / "_build" / "default" / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in [*HTML.glob("*.html"), *HTML.glob("executed/*.html"), *HTML.glob("teaching/*.html")]
)
NOTEBOOKS = [name for name in PAGES if re.match(r"executed/(?!solutions)", name)]
built = pytest.mark.skipif(
    "index.html" not in PAGES, reason="there is no book: run 'make book' first"
)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
HEAVIEST = 3_000_000  # bytes
# Rows of numbers after the first two, which look like those.
ALIKE = ".dataframe tbody tr:nth-child(n + 3)"
READY = """Promise.all([
    window.MathJax?.startup.promise,
    document.fonts.ready,
    ...[...document.images].map((image) => image.decode()),
]).then(() => 0)"""
# Texts with the same tags and classes up to the root look alike: axe looks at the colours of the
# first two that a page shows, if no page before on this screen has shown any. Tokens of code that
# look like others become plain text, as they are thousands. Two slow rules find nothing serious.
ONE_OF_A_KIND = """(measured) => {
    const known = new Set(measured);
    const kinds = new Map([[null, ""]]);
    const kindOf = (element) => {
        if (!kinds.has(element)) {
            const { tagName, className, style } = element;
            const own = [tagName, className.baseVal ?? className, style.cssText].join();
            kinds.set(element, `${kindOf(element.parentElement)}/${own}`);
        }
        return kinds.get(element);
    };
    const seen = new Map();
    const hasText = (element) =>
        [...element.childNodes].some((node) => node.nodeType == 3 && node.data.trim());
    for (const element of document.querySelectorAll("body *")) {
        if (!hasText(element) || !element.checkVisibility()) continue;
        const kind = kindOf(element);
        seen.set(kind, (seen.get(kind) || 0) + 1);
        element.toggleAttribute("data-alike", known.has(kind) || seen.get(kind) > 2);
    }
    for (const token of document.querySelectorAll(":is(.highlight, .sig) span[data-alike]")) {
        token.replaceWith(...token.childNodes);
    }
    axe.configure({rules: [
        {id: "color-contrast", selector: ":not([data-alike])"},
        {id: "link-in-text-block", selector: "a[href]:not([data-alike])"},
        {id: "region", enabled: false},
        {id: "landmark-unique", enabled: false},
    ]});
    return [...seen.keys()];
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except sync_api.Error:
            if CHROMIUM:
                raise
            pytest.skip("needs Chromium, which is not installed")
        yield chromium
        chromium.close()


def new_screen(browser, theme, viewport):
    """A tab, with what its page asks for and what it complains of."""
    tab = browser.new_context(
        color_scheme=theme, viewport=viewport, reduced_motion="reduce"
    ).new_page()
    screen = SimpleNamespace(tab=tab, asked=[], complaints=[], measured=set())
    tab.on("request", lambda request: screen.asked.append(request.url))
    tab.on(
        "console",
        lambda message: (
            screen.complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    tab.on("pageerror", lambda error: screen.complaints.append(str(error)))
    tab.on("requestfailed", lambda request: screen.complaints.append(f"not loaded: {request.url}"))
    return screen


def show(screen, place):
    """A page, all of it loaded, with what it asked for until then and what it complains of."""
    screen.tab.goto("about:blank")  # so that nothing more comes from the page before
    screen.asked.clear()
    screen.complaints.clear()
    screen.tab.goto(place.as_uri())
    screen.tab.evaluate(READY)
    return SimpleNamespace(**vars(screen) | {"asked": screen.asked[:]})


def opened(browser, place, theme, viewport):
    """A page on a screen of its own."""
    return show(new_screen(browser, theme, viewport), place)


def faults(seen):
    """What axe finds serious or critical, each rule with the first elements that break it.

    The colours of elements that look alike are measured on two of them.
    """
    if seen.tab.evaluate("typeof axe") == "undefined":
        seen.tab.evaluate(Axe().axe_script)
    seen.measured.update(seen.tab.evaluate(ONE_OF_A_KIND, list(seen.measured)))
    options = [
        {"exclude": [ALIKE]},
        {"resultTypes": ["violations"], "preload": False, "selectors": False},
    ]
    found = seen.tab.evaluate(
        "(options) => axe.run(...options).then((told) => told.violations)", options
    )
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"][:3]]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }


def test_faults_are_found_on_the_second_page_of_a_screen_too(browser, tmp_path):
    """Also where the page before looked much the same, and had none."""
    text = '<html lang="en"><title>t</title><main><h1>t</h1><p>Read <a href="x">{}</a>.</p>{}'
    bad = '<p style="color: #ccc">pale</p><img src="data:,">'
    (tmp_path / "good.html").write_text(text.format("this", "<p>dark</p>"), encoding="utf-8")
    (tmp_path / "bad.html").write_text(text.format("that", bad), encoding="utf-8")
    screen = new_screen(browser, "light", WIDE)
    screen.tab.goto((tmp_path / "good.html").as_uri())
    assert faults(screen) == {}
    screen.tab.goto((tmp_path / "bad.html").as_uri())
    assert set(faults(screen)) == {"color-contrast", "image-alt"}
    screen.tab.context.close()


# ---------------------------------------------------------------- each page of the book


@pytest.fixture(scope="module")
def screens(browser):
    """Two screens for all pages of the book: a new browser process for each would be slow."""
    both = new_screen(browser, "light", WIDE), new_screen(browser, "dark", PHONE)
    yield both
    for screen in both:
        screen.tab.context.close()


@pytest.fixture(scope="module", params=PAGES or ["index.html"])
def page(request):
    return HTML / request.param


@pytest.fixture(scope="module")
def wide(page, screens):
    """A page of the book as a wide and light screen shows it."""
    return show(screens[0], page)


@pytest.fixture
def phone(page, screens):
    """The same page on a dark phone's screen."""
    return show(screens[1], page)


@built
def test_a_page_complains_of_nothing_and_loads_little_and_nothing_from_elsewhere(wide):
    assert not wide.complaints
    files = {
        Path(unquote(re.sub(r"[?#].*", "", url.removeprefix("file://"))))
        for url in wide.asked
        if not url.startswith("data:")
    }
    assert all(path.is_relative_to(HTML) for path in files), files
    assert len(files) > 10
    assert sum(path.stat().st_size for path in files) < HEAVIEST


@built
def test_every_picture_says_what_it_shows(wide):
    nameless = """[...document.querySelectorAll('img, svg[role=img]')]
        .filter((x) => !(x.alt || x.ariaLabel))
        .map((x) => x.outerHTML.slice(0, 200))"""
    assert wide.tab.evaluate(nameless) == []
    assert (
        wide.tab.evaluate(
            "[...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)"
        )
        == []
    )


@functools.cache
def anchors(path):
    """The places in a page that a link can name."""
    return set(re.findall(r'\b(?:id|name)="([^"]+)"', path.read_text(encoding="utf-8")))


@built
def test_every_link_within_the_book_leads_somewhere(wide):
    links = wide.tab.evaluate("[...document.querySelectorAll('a[href]')].map((link) => link.href)")
    assert len(links) > 20
    assert not [link for link in links if not link.startswith(("file:", "https:"))]
    for link in {link for link in links if link.startswith("file:")}:
        place, anchor = urldefrag(link)
        path = Path(unquote(place.removeprefix("file://")).partition("?")[0])
        assert path.is_file(), link
        assert path.is_relative_to(HTML), link
        assert not anchor or unquote(anchor) in anchors(path), link


@built
def test_on_a_wide_screen_all_can_read_it(wide):
    assert faults(wide) == {}


@built
def test_on_a_dark_phone_it_fits_and_all_can_read_it(phone):
    assert phone.tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert phone.tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not phone.complaints
    assert faults(phone) == {}


# ---------------------------------------------------------------- what can be taken along


@built
@pytest.mark.parametrize("name", NOTEBOOKS or ["executed/none"])
def test_its_notebook_and_every_table_can_be_downloaded(name):
    text = (HTML / name).read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', text)
    notebook = next(link for link in links if link.endswith(".ipynb"))
    cells = json.loads((HTML / name).parent.joinpath(notebook).read_text(encoding="utf-8"))["cells"]
    assert any(cell.get("outputs") for cell in cells)
    assert f"{Path(name).stem}.ipynb" in notebook
    tables = re.findall(r'<table id="T_(\w+)"', text)
    assert {f"{table}.csv" for table in tables} <= {link.rpartition("/")[2] for link in links}
    assert text.count('class="dataframe"') == len(tables)


@built
def test_no_page_shows_what_its_code_complained_of():
    assert [
        name
        for name in PAGES
        if 'class="output stderr' in (HTML / name).read_text(encoding="utf-8")
    ] == []


@built
@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_a_word_is_found_without_a_network(browser, viewport):
    seen = opened(browser, HTML / "executed" / "planning.html", "light", viewport)
    seen.tab.keyboard.press("Control+k")
    field = seen.tab.locator("#pst-search-dialog input")
    field.fill("entropy")
    field.press("Enter")
    page = re.compile(r"^(\d+\. )?Approximate entropy$")
    seen.tab.locator("#search-results li a", has_text=page).first.wait_for()  # they come one by one
    assert not seen.complaints
    seen.tab.context.close()


@built
def test_on_paper_nothing_is_cut_and_the_dark_is_left_behind(browser):
    seen = opened(
        browser, HTML / "executed" / "entropy.html", "dark", {"width": 700, "height": 900}
    )
    seen.tab.emulate_media(media="print", color_scheme="dark")
    cut = """[...document.querySelectorAll('.output, pre')]
        .filter((box) => box.scrollWidth > box.clientWidth + 1)
        .map((box) => box.outerHTML.slice(0, 200))"""
    assert seen.tab.evaluate(cut) == []
    dark = r"""[...document.querySelectorAll('article :is(p, td, th, h2, code, pre span)')]
        .filter((x) => x.getClientRects().length
            && getComputedStyle(x).color.match(/\d+/g).slice(0, 3).every((part) => part > 150))"""
    assert seen.tab.evaluate(f"{dark}.map((x) => x.outerHTML.slice(0, 200))") == []
    assert (
        not seen.tab.locator("summary, .bd-sidebar-primary, .prev-next-footer")
        .filter(visible=True)
        .count()
    )
    seen.tab.context.close()


# ---------------------------------------------------------------- the explorer alone, and a report


def alone(browser, tmp_path, text, theme):
    """Faults of a page that is one file, at both widths."""
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    found = []
    for viewport in (WIDE, PHONE):
        seen = opened(browser, tmp_path / "page.html", theme, viewport)
        found += [*seen.complaints, *faults(seen).items()]
        assert len(seen.asked) == 1
        assert seen.tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        seen.tab.context.close()
    return found


@built
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_can_use_the_explorer_alone(browser, tmp_path, theme):
    data = re.search(
        r'id="explorer-data">(.*?)</script>',
        (HTML / "executed" / "explorer.html").read_text(encoding="utf-8"),
        re.DOTALL,
    )[1]
    assert alone(browser, tmp_path, explorer.standalone_page(json.loads(data), theme), theme) == []


@functools.cache
def reported(claims):
    """The page of a report that claims something, or nothing."""
    runs = simulate_pilot()
    log = synthetic.Process(n_items=40, n_interests=4).sample(60, 9, seed=1).log
    findings = conclusions.draw_conclusions(runs if claims else runs.head(4), FLOOR)
    assert bool(findings.metrics) == claims
    return render.render_page(report_values(runs, findings, log))


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("claims", [True, False])
def test_all_can_read_a_report(browser, tmp_path, claims, theme):
    assert alone(browser, tmp_path, reported(claims), theme) == []


# ---------------------------------------------------------------- slides


@built
def test_a_lecture_is_shown_as_slides(browser):
    seen = opened(browser, HTML / "teaching" / "lecture_1.html", "light", WIDE)
    shown = seen.tab.locator("article section.shown h2")
    assert shown.count() == 0
    seen.tab.locator(".slides-button").click()
    first = shown.inner_text()
    seen.tab.keyboard.press("ArrowRight")
    assert shown.inner_text() != first
    assert faults(seen) == {}
    seen.tab.keyboard.press("Escape")
    assert shown.count() == 1
    assert not seen.tab.evaluate("document.documentElement.classList.contains('slides')")
    assert not seen.complaints
    seen.tab.context.close()
