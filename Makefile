# Everything a newcomer runs. Needs Debian 12, root, git, make and python3; the rest is installed where it is missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
# Each holds the lock that .venv was made from.
RUN := .venv/.run
DEV := .venv/.dev
WHERE := tests
# What CI measures besides, for the floor in pyproject.toml: make test COVERAGE=1. It doubles the tests' processor time.
COVERAGE :=

# Each process would compile the program anew where the environment forbids it to keep what it compiled: a third of the tests' processor time.
unexport PYTHONDONTWRITEBYTECODE

MUTATE :=
# The first seed and how many hosts: make sim SEEDS="1 300".
SEEDS := 1 100

.PHONY: help deps venv demo test test-long test-vm test-fresh sim mutants quick lint docs bench clean

help: ## say what each target does
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | sed "s/^/make /" | column -t -s "$$(printf '\t')"

deps: ## install the Debian packages that tests, demo and benchmark need and this machine lacks
	@echo "deps: looking for missing Debian packages"
	@bash .ci/bootstrap

venv: deps $(DEV) ## make the virtual environment .venv of the locks

# A lock that has changed makes .venv anew, so that nothing stays of what it no longer names; other changes only install the program again.
$(RUN): .lock/install .lock/build.txt .lock/run.txt pyproject.toml
	@echo "venv: installing the program and what it needs (.lock/run.txt) into .venv"
	@cmp -s .lock/run.txt $@ || { rm -rf .venv; /usr/bin/python3 -m venv .venv; }
	@.lock/install $(PYTHON) run -e .
	@cp .lock/run.txt $@

$(DEV): $(RUN) .lock/dev.txt
	@echo "venv: installing what the tests need (.lock/dev.txt) into .venv"
	@[ ! -e $@ ] || cmp -s .lock/dev.txt $@ || { rm -rf .venv; $(MAKE) $(RUN); }
	@.lock/install $(PYTHON) dev
	@cp .lock/dev.txt $@

demo: ## show the main job on a real guest, proven on the raw devices (needs no package of the tests)
	@echo "demo: looking for missing Debian packages"
	@bash .ci/bootstrap demo
	@$(MAKE) $(RUN)
	@echo "demo: a phone's term ends, and its data is wiped, searched for and certified"
	@$(PYTHON) -m tests.lab.demo

# The collecting alone, while lint has one core: it leaves the compiled tests to the workers, each of which would compile them all.
test: venv ## lint, quick tests and host tests (8 minutes on two idle cores)
	@$(PYTHON) -m pytest -q --collect-only tests > .collect.log 2>&1 & collecting=$$!; linted=0; $(MAKE) lint || linted=$$?; \
		wait $$collecting || { tail -n 40 .collect.log; linted=1; }; exit $$linted
	@rm -f .collect.log
	@echo "test: quick and host suites"
	@WIPED_REQUIRE_HOST=1 $(PYTHON) -m pytest -q -n 5 --dist worksteal -m "not long and not vm" $(if $(COVERAGE),--cov --cov-report=term:skip-covered) $(WHERE)

test-long: venv ## attacks and kill points that take minutes, on this machine
	@echo "test-long: long attacks"
	@WIPED_REQUIRE_HOST=1 $(PYTHON) -m pytest -q -n 3 --dist worksteal -m long tests/long tests/host tests/unit tests/sim

test-vm: venv ## a whole virtualization host in a virtual machine: the systemd unit, LVM (3 GiB of memory, 6 GiB of disk)
	@echo "test-vm: the host in a virtual machine"
	@WIPED_REQUIRE_HOST=1 $(PYTHON) -m pytest -q -m vm tests/vm

test-fresh: ## the README's first command in a bare Debian 12 of its own (about 4 minutes), or the reason why this machine cannot
	@echo "test-fresh: the README's first command in a bare Debian"
	@bash .ci/bootstrap fresh
	@/usr/bin/python3 -m tests.lab.fresh

sim: venv ## simulated hosts in which everything moves at once, judged by books of their own (8 s a host; SEEDS="1 300")
	@echo "sim: simulated hosts, seeds $(SEEDS)"
	@$(PYTHON) -m tests.sim.stories $(SEEDS)

mutants: venv ## changes of the deciding code that no unit test notices (hours; MUTATE="wiped/erase/claims.py" for one file)
	@echo "mutants: a virtual environment of its own in .mutants"
	@[ -e .mutants/venv/.done ] || { rm -rf .mutants/venv; /usr/bin/python3 -m venv .mutants/venv; .lock/install .mutants/venv/bin/python dev; \
		.lock/install .mutants/venv/bin/python mutants; touch .mutants/venv/.done; }
	@.mutants/venv/bin/python -m tests.mutants $(MUTATE)

quick: venv ## the tests that need neither root nor libvirt
	@echo "quick: the tests that need neither root nor libvirt"
	@$(PYTHON) -m pytest -q -n 2 tests/unit

lint: venv ## ruff, mypy and the import contracts
	@echo "lint: ruff, mypy, import contracts"
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet . || { echo "lint: run .venv/bin/ruff format ." >&2; exit 1; }
	@.venv/bin/mypy --no-error-summary wiped tests/lab tests/documents
	@.venv/bin/lint-imports > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log

docs: venv ## write the generated parts of docs/ from the code
	@echo "docs: writing the generated parts of docs/"
	@$(PYTHON) -m tests.documents

bench: venv ## measure the proven wipe against its peers (10 GiB of disk, a few minutes)
	@echo "bench: the proven wipe beside its peers"
	@$(PYTHON) -m tests.bench.run

clean: ## remove what was built, and what killed labs left behind
	@echo "clean: caches, environment, stale labs"
	@/usr/bin/python3 -c "from tests.lab.mounts import sweep_stale; sweep_stale()"
	@rm -rf .venv .mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* build *.egg-info .stamps .lint-imports.log .collect.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
