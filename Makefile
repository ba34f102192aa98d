# `make` lists the commands. They make what is missing by themselves.
.DEFAULT_GOAL := help
.PHONY: help setup run events demo test check simulate templates invoke bench counts trace mutants build requirements

python := .venv/bin/python
sam := SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam
# What the build recipes in functions/ and layers/ want to know. ARCHITECTURE=x86_64 builds for the other processor.
ARCHITECTURE ?= arm64
recipe := UV=$(CURDIR)/.venv/bin/uv PYTHON=$(CURDIR)/.venv-lambda/bin/python TARGET=$(ARCHITECTURE)
sam_build := $(recipe) $(sam) build --parameter-overrides Architecture=$(ARCHITECTURE)
N ?= 1000
MINUTES ?= 15

help:
	@echo 'make run                        start the local stack and its phone page; Ctrl-C ends it (PORT= for the page, STACK= for a second one)'
	@echo 'make run FORWARD=http://127.0.0.1:9000   the same, and the events go to your server, signed'
	@echo 'make events                     every event of the running stack, a line each (JSON=1 for all of it)'
	@echo 'make demo                       a scripted conversation over real HTTP, as a transcript'
	@echo 'make test                       all tests'
	@echo 'make check                      format, lint, types, templates, the SAM build and what it ships'
	@echo 'make simulate N=1000            N random schedules of faults on the send and receive paths'
	@echo 'make templates                  check the message templates and show each as it will look'
	@echo 'make invoke FN=send EVENT=events/send/….json   run a function in the running stack'
	@echo 'make bench                      the benchmarks'
	@echo 'make counts                     calls, units, imports and instructions of each operation, held to tests/performance/counts.json'
	@echo 'make trace                      what one send and one receive enter: files, functions, calls to AWS and Twilio'
	@echo 'make mutants                    changes the decisions line by line; says which changes no fast test notices (MINUTES=)'
	@echo 'make build                      what `sam deploy` ships, in .aws-sam/ (ARCHITECTURE=x86_64 for the other processor)'

setup:
	@sh local/setup.sh

run: setup
	@$(python) -m local run

events: setup
	@$(python) -m local events

demo: setup
	@$(python) -m local.demo

test: setup
	@$(python) -m pytest -n 2 --dist loadfile

simulate: setup
	@$(python) -m tests.simulation $(N)

templates: setup
	@$(python) -m local.templates

invoke: setup
	@$(python) -m local invoke "$(FN)" "$(EVENT)"

bench: setup
	@$(python) -m tests.performance

counts: setup
	@$(python) -m tests.performance.counts

trace: setup
	@$(python) -m tools.trace

mutants:
	@sh local/setup.sh mutation
	@.venv-mutation/bin/python -m tools.mutants --minutes $(MINUTES)

build:
	@sh local/setup.sh sam
	$(sam_build)

check:
	@sh local/setup.sh sam
	$(python) -m ruff format --check
	$(python) -m ruff check
	$(python) -m mypy
	$(python) -m local.templates check
	$(sam) validate --lint
	$(sam_build)
	$(python) -m tools.shipped .aws-sam/build $(ARCHITECTURE)
	$(python) -m tools.translate .aws-sam/translated.json
	.venv/bin/cfn-lint .aws-sam/translated.json
	@echo 'check: ok'

# After a change of dependencies: what the layer ships follows the lock.
requirements: setup
	.venv/bin/uv export --frozen --no-dev --no-emit-project --no-header --no-annotate --quiet -o layers/dependencies/requirements.txt
