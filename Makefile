# Two commands on a fresh machine: `make benchmark` and `make test`. Everything lands in .venv and one data folder.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help setup data benchmark report bench test soak audit docs paper lint clean

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first interpreter that runs, is 3.11 to 3.13 and can make an environment; or say make PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$p" && break; done)

help:  ## show this text
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 20

setup: $(STAMP)  ## make .venv and install the project, with the versions of requirements.lock

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 with venv was found. Install one (Debian: python3-venv), or type: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test]' --constraint requirements.lock
	@touch $@

data: $(STAMP)  ## fetch MNIST and Fashion-MNIST once, checked by SHA-256
	@$(BIN)/python -m benchmark.prepare

benchmark: data  ## the quick benchmark on both data sets, then its tables (about 9 minutes on two cores)
	@start=$$(date +%s); status=0; \
	$(BIN)/python -m benchmark -m +experiment=quick || status=$$?; \
	$(BIN)/python -m benchmark.report experiment=quick publish=true || status=$$?; \
	echo "make benchmark took $$(( $$(date +%s) - start )) s after installation and data."; exit $$status

report: $(STAMP)  ## the report of the quick benchmark again, into results/quick, without training
	$(BIN)/python -m benchmark.report experiment=quick publish=true

bench: data  ## speed beside a plain loop, PyOD and the floor, and AUROC beside PyOD's, into results/speed (quiet machine!)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test,bench]' --constraint requirements.lock
	$(BIN)/python -m tests.tools.speed.speed
	$(BIN)/python -m tests.tools.speed.peers

test: data  ## the whole test suite
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 3 --dist loadgroup

soak: $(STAMP)  ## kills, outages, many writers, ten thousand cells, into results/reliability.md (half an hour and more)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test,joblib,server]' --constraint requirements.lock
	$(BIN)/python -m tests.tools.soak

audit: $(STAMP)  ## known vulnerabilities in the versions of requirements.lock, by pip-audit
	$(BIN)/python -m pip install --disable-pip-version-check --quiet "pip-audit>=2.9"
	$(BIN)/python -m tests.tools.audit

docs: $(STAMP)  ## the site of README, docs/ and results/ with the leaderboard, checked, into build/site/html
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test,docs]' --constraint requirements.lock
	$(BIN)/python -m tests.tools.site

paper: $(STAMP)  ## the paper from docs/paper and results/*/cells.csv, into results/paper/paper.pdf (needs TeX, see CONTRIBUTING.md)
	$(BIN)/python -m tests.tools.paper

lint: $(STAMP)  ## ruff, as pre-commit runs it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove the environment and outputs, keep data and results
	rm -rf $(VENV) outputs build dist
