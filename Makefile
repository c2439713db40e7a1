# Three commands: make demo, make test, make check. Each does its own set-up; ARGS is passed on:
#   make demo ARGS="--for 60 --report out.json"     make test ARGS="tests/core -k stop"     make PYTHON=python3.12 test
# And two for figures: make bench ARGS="load --seconds 30" (also idle, soak, stages, history; each has --help), and, for
# a quarter of an hour, make seeds: the demo ten times over, each with another seed.

SHELL := /bin/bash
PYTHON ?=
ARGS ?=
export PYTHON
# Compiled once, not by each of the hundreds of processes that demo and tests start.
unexport PYTHONDONTWRITEBYTECODE
# Mosquitto is in a folder that is not on the PATH of an ordinary account.
export PATH := $(PATH):/usr/sbin:/sbin

# What has to be proved to the last branch (docs/hazards.md): the contract, the pure parts of the agent, the core.
PURE := interlock session turn hearing hand readings faults presses commands state telemetry changed over_limits
PROVED := broker.contract fleet.core $(PURE:%=agents.%)
# Most of the tests wait for real processes: eight at a time on two cores, in the order of tests/order.py.
PARALLEL := -n 8 --dist loadfile --no-loadscope-reorder

.PHONY: demo seeds test check bench coverage lock
.DEFAULT_GOAL := test

demo: ## run a clinic on this machine
	@tools/set-up broker
	@exec .venv/bin/stimfleet demo --past 8 $(ARGS)

seeds: ## the demo with ten seeds, a line each; ARGS="--for 60 --seeds 10"
	@tools/set-up broker
	@exec .venv/bin/python -m tools.seeds $(ARGS)

test: ## pass the tests; all of them also prove every branch of the proved parts
	@tools/set-up broker strace engines browser
ifeq ($(strip $(ARGS)),)
	@.venv/bin/python -m pytest $(PARALLEL) $(PROVED:%=--cov=%) --cov-report=
	@.venv/bin/coverage report --fail-under 100
else
	@exec .venv/bin/python -m pytest $(ARGS)
endif

check: ## lint, format, types, arrows between parts, style
	@tools/set-up
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/python -m pytest -q tests/test_tidy.py

bench: ## measure: JSON on stdout
	@tools/set-up broker >&2
	@exec .venv/bin/python -m tests.bench $(or $(strip $(ARGS)),load)

coverage: ## what the tests reach of everything: as `make test`, but longer
	@tools/set-up broker strace engines browser
	@exec .venv/bin/python -m pytest $(PARALLEL) --cov

lock: ## write the lock anew; ARGS=--upgrade moves everything to its newest allowed version
	@tools/lock $(ARGS)
