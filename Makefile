# Three commands: make demo, make test, make check. Each does its own set-up; ARGS is passed on:
#   make demo ARGS="--for 60"       make test ARGS="tests/core -k stop"       make PYTHON=python3.12 test

SHELL := /bin/bash
PYTHON ?=
ARGS ?=
export PYTHON
# Mosquitto is in a folder that is not on the PATH of an ordinary account.
export PATH := $(PATH):/usr/sbin:/sbin

# What has to be proved to the last branch (docs/hazards.md).
PROVED := broker/contract/*,agents/interlock.py,agents/session.py,fleet/core/*

.PHONY: demo test check coverage lock
.DEFAULT_GOAL := test

demo: ## run a clinic on this machine
	@tools/set-up broker
	@exec .venv/bin/stimfleet demo $(ARGS)

test: ## pass the tests
	@tools/set-up broker
	@exec .venv/bin/python -m pytest $(ARGS)

check: ## lint, format, types, arrows between parts, style
	@tools/set-up
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/python -m pytest -q tests/test_tidy.py

coverage: ## the tests again, and every branch of the proved parts
	@tools/set-up broker
	.venv/bin/python -m pytest --cov --cov-report= $(ARGS)
	.venv/bin/coverage report
	.venv/bin/coverage report --include '$(PROVED)' --fail-under 100

lock: ## write the lock anew; ARGS=--upgrade moves everything to its newest allowed version
	@tools/lock $(ARGS)
