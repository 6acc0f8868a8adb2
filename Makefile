# make demo   twelve properties of real molecules: a table and a plot
# make app    the same and more on a page: http://127.0.0.1:7860
# make test   the whole test suite
# make lint   what CI checks besides
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
define MOLECULES
CCO ethanol
c1ccccc1 benzene
O=c1cc[nH]c(=O)[nH]1 uracil
CC(=O)Oc1ccccc1C(=O)O aspirin
endef
export MOLECULES

.PHONY: demo app test lint format install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(BIN)/python -c "$(RECENT)" 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -c "$(RECENT)" || \
	  { echo "equizoo needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	  $(PYTHON) -m venv $(VENV); }
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --editable ".[all,test,dev]"
	touch $@

demo: $(STAMP)
	@mkdir -p demo-output
	@echo "$$MOLECULES" > demo-output/molecules.smi
	@$(BIN)/equizoo predict demo-output/molecules.smi --plot demo-output/properties.png

app: $(STAMP)
	@$(BIN)/python app.py

test: $(STAMP)
	@$(BIN)/python -m pytest

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info demo-output
