# Every target does the set-up it needs (apt as root, .venv, locked packages); `make help` lists them.
PYTHON = .venv/bin/python
# A file's tests stay in one worker: what they share is started once. In the order of their names the long ones begin early.
PYTEST_ARGS = -n 3 --dist loadfile --no-loadscope-reorder
.DEFAULT_GOAL = help
.PHONY: help run test compose-test check bench lock setup-run setup-test

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | sort | expand -t 14

run: setup-run ## the gateway on loopback with a demo tenant, data in var/; Ctrl-C stops it
	@$(PYTHON) -m scripts.demo

test: setup-test ## every test; PYTEST_ARGS="tests/ops -x" for some
	@$(PYTHON) -m pytest $(PYTEST_ARGS)

compose-test: setup-test ## the local stack of docker-compose.yml, built, used and restarted
	@scripts/compose_test.sh

check: setup-test ## style, types, direction of imports
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-logo

bench: setup-test ## receive, scan and deliver beside Postfix and clamav-milter
	@$(PYTHON) -m bench.receive $(BENCH_ARGS)

LOCK = .venv/bin/pip-compile --quiet --no-header --generate-hashes --allow-unsafe --strip-extras --build-deps-for=editable \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: setup-test ## new lock files from pyproject.toml
	@$(LOCK) --output-file requirements.lock pyproject.toml
	@$(LOCK) --constraint requirements.lock --extra dev --output-file requirements-dev.lock pyproject.toml

setup-run:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test
