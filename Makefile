# Everything a reader of the repository types. `make help` lists it.

PYTHON ?= python3
PORT   ?= 8000
PARAMS ?=
LOG    ?=
OUT    ?= report
SOLUTIONS ?= yes

BIN   := .venv/bin
READY := .venv/.ready

# Compiled modules are kept: every worker of the tests and every kernel of the book imports them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help book pdf test quick lint cover report serve clean distclean

help:
	@echo "make book                 execute the notebooks, render the book"
	@echo "make book PARAMS=my.yaml  the same with your parameters, into a book of its own"
	@echo "make book SOLUTIONS=no    the same without the solutions of exercises"
	@echo "make pdf                  the whole book as one PDF, printed by Chromium"
	@echo "make report LOG=shop.csv  a report on a log of yours, into the folder OUT (default report)"
	@echo "make quick                the unit tests of every folder, in about a minute"
	@echo "make test                 all tests"
	@echo "make lint                 format, style, types, imports, spelling, unused code"
	@echo "make cover                all tests of the library, with the branches that they reach"
	@echo "make serve                serve the book on http://127.0.0.1:$(PORT)"
	@echo "make clean                remove what was built"
	@echo "make distclean            remove the virtual environment too"

BOOK := $(BIN)/perflaw book $(if $(PARAMS),--params "$(PARAMS)") $(if $(filter no,$(SOLUTIONS)),--no-solutions)

book: $(READY)
	@$(BOOK)

pdf: $(READY)
	@$(BOOK) --pdf

report: $(READY)
	@test -n "$(LOG)" || { echo "Name your log: make report LOG=shop.csv OUT=shop-report"; exit 1; }
	@$(BIN)/perflaw report "$(LOG)" --out "$(OUT)" $(OPTIONS)

test: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

quick: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -q -m "not slow and not book and not integration"

lint: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "mend it with: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@$(BIN)/nbstripout --verify notebooks/*.ipynb
	@$(BIN)/mypy
	@$(BIN)/python .ci/find_unused.py

cover: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -q -m "not book" --cov --cov-report=term

serve:
	@test -f book/_build/default/html/index.html || { echo "There is no book yet: run 'make book' first."; exit 1; }
	@$(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory book/_build/default/html

clean:
	@rm -rf book/_build .pytest_cache
	@find perflaw tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	@rm -rf .venv *.egg-info

# The environment: made once, brought up to date when the requirements change.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This needs Python 3.11 or later; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing the requirements into .venv (once; a few minutes)"
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/python -m pip install -r requirements.txt && \
	   $(BIN)/python -m pip install --no-deps --no-build-isolation -e . ; } > .venv/install.log 2>&1 || \
	  { tail -n 20 .venv/install.log; echo "The installation failed; all of its output is in .venv/install.log"; exit 1; }
	@touch $@
