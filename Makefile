# make demo   twelve properties of real molecules: a table and a plot
# make test   the whole test suite
# make lint   what CI checks besides
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
MOLECULES := CCO c1ccccc1 O=c1cc[nH]c(=O)[nH]1 CC(=O)Oc1ccccc1C(=O)O

.PHONY: demo test lint format install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --editable ".[all,test,dev]"
	touch $@

demo: $(STAMP)
	@mkdir -p demo-output
	@$(BIN)/equizoo predict '$(word 1,$(MOLECULES))' $(foreach m,$(wordlist 2,9,$(MOLECULES)),'$(m)') --plot demo-output/properties.png

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
