"""Parameters → papermill → pages: a book from the notebooks and the prose.

A book lives wholly in ``book/_build/NAME/``:

``executed/x/``
    what notebook x made in one run: ``x.ipynb``, ``figures/``, ``tables/``
``source/``
    what is rendered: the prose of ``book/`` and all of the above, laid together
``html/``
    the pages
``failed/``
    the notebook that failed last, if one did

A notebook runs in an empty folder with ``figures`` and ``tables`` in it, which
becomes ``executed/x`` by one rename; the pages arrive in the same way. So
what is there is complete, and a build that stops half-way leaves it alone.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import yaml
from filelock import FileLock, Timeout
from tqdm import tqdm

from perflaw import __version__
from perflaw.errors import InputError
from perflaw.paths import HOME

STUDY = ("_config.yml", "requirements.txt", "CHANGELOG.md", "notebooks", "book", "data")
TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list}


class BuildError(RuntimeError):
    """A notebook or the rendering failed; the message says which, where and why."""


def build_book(root, parameters=None, name="default"):
    """Execute and render what changed of the book ``name``; return its index page.

    ``parameters`` maps names to values; each notebook gets those it declares.
    Raises InputError if the project, the name or a parameter cannot be used, and
    BuildError if a cell fails or the rendering has something to complain about.
    """
    root = Path(root).resolve()
    parameters = parameters or {}
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise InputError(
            f"a book cannot be called {name!r}: use letters, digits, '.', '_' and '-'; see --name"
        )
    if parameters and name.lower() == "default":
        raise InputError(
            "a book with parameters of its own cannot be called 'default': give it another --name"
        )
    if not list(root.glob("notebooks/*.ipynb")) or not (root / "book").is_dir():
        raise InputError(
            f"{root} has no notebooks/*.ipynb and book/: run this from the project's root, or from a copy that `perflaw study FOLDER` made"
        )
    given = assign_parameters(declared(root), parameters) if parameters else {}

    home = root / "book" / "_build" / name
    scratch = home / "scratch"
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / ".lock", timeout=0):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                execute_notebooks(root, home, given, scratch)
                assemble_pages(root, home)
                render_pages(home, scratch)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except Timeout:
        raise InputError(
            f"the book '{name}' is being built by another process; wait for it, or give another --name"
        ) from None
    return home / "html" / "index.html"


def copy(folder):
    """Copy the study, that is notebooks, prose and data, into a new folder, in which ``perflaw book`` builds it.

    Raises InputError if the folder is there already and not empty, or cannot be made.
    """
    folder = Path(folder)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder} is there already; name a new folder")
        for name in STUDY:
            if (HOME / name).is_dir():
                shutil.copytree(
                    HOME / name,
                    folder / name,
                    ignore=shutil.ignore_patterns("_build", ".*", "figures", "tables"),
                )
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(HOME / name, folder)
    except OSError as error:
        raise InputError(f"the study cannot be copied into {folder}: {error.strerror}") from None
    return folder


# Parameters


class Parameter(NamedTuple):
    """One annotated assignment in a cell tagged ``parameters``."""

    notebook: str
    name: str
    kind: str
    default: str
    help: str


def parameters_of(notebook):
    """The parameters that a notebook declares.

    Raises InputError for one that lacks a type.
    """
    from papermill import inspect_notebook  # takes a second, and most builds give no parameters

    try:
        declared_here = inspect_notebook(notebook)
    except Exception as error:  # nbformat and json raise many kinds
        raise InputError(
            f"{notebook.name} cannot be read as a notebook: {' '.join(str(error).split())[:200]}"
        ) from None
    found = [
        Parameter(notebook.stem, p["name"], p["inferred_type_name"], p["default"], p["help"])
        for p in declared_here.values()
    ]
    for parameter in found:
        if parameter.kind.partition("[")[0] not in TYPES:
            raise InputError(
                f"{notebook.name}: the parameter {parameter.name} must be annotated as one of {', '.join(TYPES)}"
            )
    return found


def declared(root):
    """The parameters of all notebooks."""
    return [
        p for notebook in sorted(root.glob("notebooks/*.ipynb")) for p in parameters_of(notebook)
    ]


def read_parameters(file=None, pairs=()):
    """Parameters from a YAML file, and over them those given as (name, text) pairs.

    Raises InputError if the file is not a YAML mapping.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) if file else None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values or {}, dict):
        raise InputError(f"{file} must map parameter names to values, like 'level: 0.9'")
    return {**(values or {}), **dict(pairs)}


def name_for(file=None, pairs=()):
    """A book's name, made from where its parameters come from."""
    parts = [file.stem] if file else []
    parts += [f"{name}-{text}" for name, text in pairs]
    name = re.sub(r"[^\w.-]+", "-", "_".join(parts), flags=re.ASCII).strip("-.")
    if len(name) > 80:
        name = f"{name[:71]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name if parts else "default"


def assign_parameters(available, parameters):
    """The values each notebook gets: ``{notebook: {name: value}}``.

    Raises InputError, listing what is available, for a parameter that no
    notebook declares or whose value is of another type.
    """
    given = {}
    for name, value in parameters.items():
        takers = [p for p in available if p.name == name]
        if not takers:
            raise InputError(
                f"no notebook declares a parameter {name!r}\n{list_parameters(available)}"
            )
        for p in takers:
            try:
                given.setdefault(p.notebook, {})[name] = coerce_value(value, p.kind)
            except (ValueError, yaml.YAMLError):
                raise InputError(
                    f"the parameter {name} must be of type {p.kind}, not {value!r}\n{list_parameters(available)}"
                ) from None
    return given


def coerce_value(value, kind):
    """``value`` as a parameter of type ``kind``; text stands for what it spells.

    Raises ValueError if it is none.
    """
    kind, _, inner = kind.rstrip("]").partition("[")
    if isinstance(value, str) and kind != "str":
        value = float(value) if kind == "float" else yaml.safe_load(value)
    if kind == "float" and type(value) is int:
        value = float(value)
    if type(value) is not TYPES[kind]:  # not isinstance: a bool is no int
        raise ValueError(f"{value!r} is not of type {kind}")
    return [coerce_value(item, inner) for item in value] if inner else value


def list_parameters(available):
    """The parameters there are, a line each."""
    if not available:
        return "No notebook declares any."
    lines = [
        f"  {p.name} ({p.kind}, default {p.default}, in {p.notebook}) {p.help}".rstrip()
        for p in available
    ]
    return "\n".join(["These exist:", *lines])


# Notebooks


def execute_notebooks(root, home, given, scratch):
    """Run the notebooks whose executed copy is not of this code, data and parameters.

    Raises BuildError at the first failing cell.
    """
    notebooks = sorted(root.glob("notebooks/*.ipynb"))
    shared = digest_files(
        root,
        [root / "requirements.txt", *root.glob("perflaw/**/*.py"), *root.glob("data/**/*")],
    )
    shared += (
        __version__ + local_log_stamps() + os.environ.get("PERFLAW_FIGURES", "")
    )  # the authors' figures: what they are is verified
    executed = home / "executed"
    executed.mkdir(exist_ok=True)
    for folder in executed.iterdir():
        if folder.name not in {notebook.stem for notebook in notebooks}:
            shutil.rmtree(folder)
    shutil.rmtree(home / "failed", ignore_errors=True)

    waiting = []
    for notebook in notebooks:
        values = given.get(notebook.stem, {})
        parts = [shared, digest_files(root, [notebook]), yaml.safe_dump(values), sys.version]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        if not is_current(executed / notebook.stem, key):
            waiting.append((notebook, values, key))

    workers = min(2, os.cpu_count(), len(waiting))
    running = []
    quiet = not (waiting and sys.stdout.isatty())
    bar = tqdm(total=len(waiting), desc="notebooks", leave=False, disable=quiet, file=sys.stdout)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                notebook, values, key = waiting.pop(0)
                process = start_notebook(
                    notebook, values, scratch, threads=os.cpu_count() // workers, home=root
                )
                running.append((process, notebook, values, key, datetime.now(UTC)))
            bar.set_postfix_str(", ".join(notebook.stem for _, notebook, *_ in running))
            time.sleep(0.1)
            for job in [job for job in running if job[0].poll() is not None]:
                process, notebook, values, key, started = job
                running.remove(job)
                folder = scratch / notebook.stem
                if process.returncode:
                    raise BuildError(describe_failure(home, folder))
                seconds = (datetime.now(UTC) - started).total_seconds()
                write_provenance(folder, key, values, started, seconds)
                replace_dir(folder, executed / notebook.stem, scratch)
                bar.update()
                tqdm.write(f"{notebook.stem:<24}{seconds:7.1f} s", file=sys.stdout)
    finally:
        bar.close()
        for process, *_ in running:
            process.terminate()
        for process, *_ in running:
            process.wait()


def local_log_stamps():
    """What the folder PERFLAW_DATA holds, for the notebooks that use all logs there are."""
    if not os.environ.get("PERFLAW_DATA"):
        return ""
    from perflaw.logs import datasets

    return "".join(
        f"\n{path} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in datasets.local_logs().values()
    )


def start_notebook(notebook, values, scratch, threads, home=HOME):
    """Start papermill on a notebook, in the folder ``scratch/<its name>``; ``home`` has the data that it reads."""
    folder = scratch / notebook.stem
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True)
    surroundings = {
        "PERFLAW_HOME": str(home),
        "OMP_NUM_THREADS": str(threads),
        # This environment's kernel and no one's personal IPython settings.
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    command = [sys.executable, "-m", "papermill", str(notebook), str(folder / notebook.name)]
    command += [
        "--kernel",
        "python3",
        "--parameters_yaml",
        yaml.safe_dump(values),
        "--no-progress-bar",
    ]
    with open(scratch / f"{notebook.stem}.log", "w") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | surroundings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def write_provenance(folder, key, values, started, seconds):
    """Write into the executed notebook what it was made of, when, where and what it wrote."""
    path = folder / f"{folder.name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"].pop("papermill")  # the same, but with this machine's paths
    notebook["metadata"]["perflaw"] = {
        "hash": key,
        "parameters": values,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "outputs": [
            f.relative_to(folder).as_posix()
            for f in files_in(folder / "figures", folder / "tables")
        ],
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": versions(),
    }
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def versions():
    """The installed version of everything that perflaw depends on directly."""
    requirements = [r for r in importlib.metadata.requires("perflaw") if "extra ==" not in r]
    names = [re.match(r"[\w.-]+", requirement)[0] for requirement in requirements]
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def read_provenance(path):
    """What ``seal`` wrote into an executed notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["metadata"]["perflaw"]


def is_current(folder, key):
    """Is this folder the complete result of a run with this key?"""
    try:
        made = read_provenance(folder / f"{folder.name}.ipynb")
        return made["hash"] == key and all(
            (folder / output).is_file() for output in made["outputs"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def describe_failure(home, folder):
    """Keep a failed notebook, and say in one line where and why it failed."""
    path = folder / f"{folder.name}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    own = [
        c
        for c in cells
        if c["cell_type"] == "code" and "injected-parameters" not in c["metadata"].get("tags", [])
    ]
    for number, cell in enumerate(own, 1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                kept = home / "failed" / path.name
                kept.parent.mkdir(exist_ok=True)
                path.replace(kept)
                reason = " ".join(f"{output['ename']}: {output['evalue']}".split())
                return f"{path.name}, code cell {number}: {reason} (the notebook is kept as {kept})"
    log = (folder.parent / f"{folder.name}.log").read_text(encoding="utf-8", errors="replace")
    return f"{path.name} could not be run: {(log.strip().splitlines() or ['no reason given'])[-1]}"


# Pages


def assemble_pages(root, home):
    """Lay prose and executed notebooks, with their figures and tables, into ``source``.

    Raises BuildError if two notebooks wrote the same figure or table.
    """
    source = home / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "book", source, ignore=shutil.ignore_patterns("_build", ".*"))
    (source / "_static").rename(source / "static")  # _config.yml says why
    mathjax = importlib.metadata.distribution("sphinx-mathjax-offline").locate_file(
        "sphinx-mathjax-offline/static/mathjax"
    )
    fonts = "output/chtml/fonts/woff-v2"
    shutil.copytree(Path(mathjax) / fonts, source / "static" / "mathjax" / fonts)
    shutil.copy(
        Path(mathjax) / "tex-chtml-full.js", source / "static" / "mathjax"
    )  # of the package's hundred files
    for path, page in (
        ("_config.yml", "_config.yml"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("data/README.md", "data.md"),
    ):
        shutil.copy(root / path, source / page)
    (source / "executed").mkdir()
    for folder in sorted((home / "executed").iterdir()):
        shutil.copy(folder / f"{folder.name}.ipynb", source / "executed")
        for output in read_provenance(folder / f"{folder.name}.ipynb")["outputs"]:
            if (source / output).exists():
                raise BuildError(
                    f"{folder.name}.ipynb wrote {output}, which another notebook or book/ has too"
                )
            (source / output).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / output, source / output)
    (source / "_runtime.md").write_text(runtime_table(source / "executed"), encoding="utf-8")


def runtime_table(folder):
    """What ran when, for how long and on what: Markdown, from executed notebooks."""
    made = {path.stem: read_provenance(path) for path in sorted(folder.glob("*.ipynb"))}
    last = max(made.values(), key=lambda r: r["started"])
    lines = ["| notebook | seconds | started (UTC) |", "|---|---:|---|"]
    lines += [
        f"| `{name}` | {r['seconds']:.1f} | {r['started'][:16].replace('T', ' ')} |"
        for name, r in made.items()
    ]
    lines += [f"| together | {sum(r['seconds'] for r in made.values()):.1f} | |", ""]
    lines += ["| environment | version |", "|---|---|", f"| Python | {last['python']} |"]
    lines += [f"| platform | {last['platform']} |", f"| cores | {last['cores']} |"]
    lines += [f"| {name} | {version} |" for name, version in last["versions"].items()]
    return "\n".join(lines) + "\n"


def render_pages(home, scratch):
    """Turn ``source`` into ``html``, from scratch, unless these pages are there already.

    Raises BuildError with Sphinx's warnings, if it has any.
    """
    source, html = home / "source", home / "html"
    key = digest_files(source, files_in(source))
    stamp = html / ".hash"
    if stamp.is_file() and stamp.read_text() == key:
        return
    began = time.monotonic()
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(source),
    ]
    command += [
        "--toc",
        str(source / "_toc.yml"),
        "--path-output",
        str(scratch),
        "-q",
        "-W",
        "-n",
        "--keep-going",
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    if done.returncode:
        output = (
            re.sub(r"\x1b\[[\d;]*m", "", done.stdout).replace(f"{source}{os.sep}", "").splitlines()
        )
        complaints = [
            line for line in output if re.search(r"\b(WARNING|ERROR|CRITICAL|\w+Error): ", line)
        ]
        raise BuildError(
            "\n".join(["the pages could not be rendered", *(complaints or output[-20:])])
        )
    new = scratch / "_build" / "html"
    for page in new.rglob("*.html"):
        page.write_text(postprocess_html(page.read_text(encoding="utf-8")), encoding="utf-8")
    (new / stamp.name).write_text(key)
    replace_dir(new, html, scratch)
    print(f"{'pages':<24}{time.monotonic() - began:7.1f} s")


def postprocess_html(page):
    """A page as Sphinx made it → without what it loads in vain, one picture for all screens where the prose has two, and parts that a screen reader can name."""
    page = re.sub(
        r"<script [^>]*/fontawesome\.js[^>]*></script>", "", page
    )  # 1.5 MB; the theme's style sheet has these icons too, as a font
    if 'class="math' not in page:
        page = re.sub(r"<script [^>]*/mathjax/[^>]*></script>", "", page)
    pair = r'<img alt="[^"]*" class="narrow" src="([^"]+)" />\s*(<figure [^>]*>\s*)(<img [^>]*class="wide"[^>]*>)'
    page = re.sub(
        pair, r'\2<picture><source media="(max-width: 699.98px)" srcset="\1" />\3</picture>', page
    )
    page = re.sub(
        r'\(?<span class="math [^>]*>[^<]*</span>[.,;:?)]*',
        r'<span class="unbroken">\g<0></span>',
        page,
    )  # no line begins with a comma
    page = page.replace(
        '<div role="list" class="citation-list">', '<div class="citation-list">'
    ).replace(' role="doc-biblioentry"', "")
    page = page.replace(
        '<div id="pst-primary-sidebar" ',
        '<div id="pst-primary-sidebar" role="region" aria-label="Book" ',
    )
    return page.replace('<th class="col_heading', '<th scope="col" class="col_heading')


# Files


def files_in(*folders):
    """All files under these folders."""
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def digest_files(root, paths):
    """One hash over the names and contents of these files."""
    total = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return total.hexdigest()


def replace_dir(new, place, scratch):
    """Move the folder ``new`` to ``place``, out of which the old one goes first."""
    if place.exists():
        place.rename(scratch / f"{place.name}.old")
    new.rename(place)
