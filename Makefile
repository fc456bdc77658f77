# Everything a newcomer runs. Needs Debian 12, root, git, make and python3; the rest is installed where it is missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check -qq
ENVIRONMENT := .venv/.complete
WHERE := tests

.PHONY: help deps venv demo test test-long test-vm quick lint bench clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | column -t -s "$$(printf '\t')"

deps: ## install the Debian packages that are missing
	@bash .ci/bootstrap

venv: deps $(ENVIRONMENT) ## make the virtual environment .venv from the lock

$(ENVIRONMENT): .lock/dev.txt pyproject.toml
	@echo "venv: installing the locked dependencies into .venv"
	@$(PYTHON) -c "" 2>/dev/null || { rm -rf .venv; /usr/bin/python3 -m venv .venv; }
	@$(PIP) install --root-user-action=ignore --no-deps --require-hashes -r .lock/dev.txt
	@$(PIP) install --root-user-action=ignore --no-deps --no-build-isolation -e .
	@touch $@

demo: venv ## show the main job on a real guest, proven on the raw devices
	@$(PYTHON) -m tests.lab.demo

test: venv lint ## lint, quick tests and host tests (under 10 minutes); CI runs it, then test-long and test-vm
	@echo "test: quick and host suites"
	@WIPED_REQUIRE_HOST=1 $(PYTHON) -m pytest -q -n 4 --dist worksteal -m "not long and not vm" --cov --cov-report=term:skip-covered $(WHERE)

test-long: venv ## attacks and kill points that take minutes, on this machine
	@echo "test-long: long attacks"
	@WIPED_REQUIRE_HOST=1 $(PYTHON) -m pytest -q -n 3 --dist worksteal -m long tests/long tests/host

test-vm: venv ## a whole virtualization host in a virtual machine: the systemd unit, LVM (3 GiB of memory, 6 GiB of disk)
	@echo "test-vm: the host in a virtual machine"
	@WIPED_REQUIRE_HOST=1 $(PYTHON) -m pytest -q -m vm tests/vm

quick: venv ## the tests that need neither root nor libvirt
	@$(PYTHON) -m pytest -q -n 2 tests/unit

lint: venv ## ruff, mypy and the import contracts
	@echo "lint: ruff, mypy, import contracts"
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet . || { echo "lint: run .venv/bin/ruff format ." >&2; exit 1; }
	@.venv/bin/mypy --no-error-summary wiped tests/lab
	@.venv/bin/lint-imports > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log

.PHONY: docs
docs: venv ## write the generated parts of docs/ from the code
	@$(PYTHON) -m tests.documents

bench: venv ## measure the proven wipe against its peers (10 GiB of disk, a few minutes)
	@$(PYTHON) -m tests.bench.run

clean: ## remove what was built, and what killed labs left behind
	@echo "clean: caches, environment, stale labs"
	@/usr/bin/python3 -c "from tests.lab.mounts import sweep_stale; sweep_stale()"
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* build *.egg-info .stamps .lint-imports.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
