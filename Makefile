# `make` lists the commands. They make what is missing by themselves.
.DEFAULT_GOAL := help
.PHONY: help setup run events doctor deploy twilio-setup demo test test-sam permissions check simulate soak templates invoke sam bench counts trace mutants build requirements

python := .venv/bin/python
sam := SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam
# What the build recipes in functions/ and layers/ want to know. ARCHITECTURE=x86_64 builds for the other processor.
ARCHITECTURE ?= arm64
recipe := UV=$(CURDIR)/.venv/bin/uv PYTHON=$(CURDIR)/.venv-lambda/bin/python TARGET=$(ARCHITECTURE)
TREE ?= $(CURDIR)
sam_build := $(recipe) $(sam) build --template $(TREE)/template.yaml --parameter-overrides Architecture=$(ARCHITECTURE)
# What the last `make test` needed of the roles' policies.
permissions_used := $(CURDIR)/.build/permissions
# STAGE=dev or STAGE=prod: the stack on AWS that samconfig.toml describes. Without it, commands work on the local one.
stage := $(if $(STAGE),--stage $(STAGE))
N ?= 1000
MINUTES ?= 15
HOURS ?= 2
PATIENTS ?= 20
SEED ?= 1

help:
	@echo 'make run                        start the local stack and its phone page; Ctrl-C ends it (PORT= for the page, STACK= for a second one)'
	@echo 'make run RESET=1                the same, and forget what the last run kept'
	@echo 'make run FORWARD=http://127.0.0.1:9000   the same, and the events go to your server, signed'
	@echo 'make events                     every event of the running stack, a line each (JSON=1 for all of it)'
	@echo 'make doctor                     what is wrong with the running stack, and what to do (STAGE=dev or prod for the one on AWS)'
	@echo 'make deploy STAGE=dev           build, deploy to AWS, run the doctor (REF=tag for an earlier version, YES=1 for no questions)'
	@echo 'make twilio-setup STAGE=dev     what is to do at Twilio; YES=1 does it; TO=+91... sends that phone a message'
	@echo 'make demo                       a scripted conversation over real HTTP, as a transcript'
	@echo 'make test                       all tests'
	@echo 'make test-sam                   every sample through sam local, in a real container (needs root and Podman)'
	@echo 'make permissions                what the roles may do and the last `make test` never needed'
	@echo 'make check                      format, lint, types, templates, the SAM build, what it ships, and the scanners'
	@echo 'make simulate N=1000            N random schedules of faults on the send and receive paths'
	@echo 'make soak                       hours of a clinic's day in minutes, with faults, on the local stack (HOURS=2 PATIENTS=20 SEED=1)'
	@echo 'make templates                  check the message templates and show each as it will look'
	@echo 'make invoke FN=send EVENT=events/send/….json   run a function in the running stack'
	@echo 'make sam                        get `sam local` ready for the running stack; Ctrl-C ends it (needs Docker or Podman)'
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

doctor: setup
	@$(python) -m commands.doctor $(stage)

deploy:
	@sh local/setup.sh sam
	@$(python) -m commands.deploy $(stage) $(if $(REF),--ref $(REF)) $(if $(YES),--yes)

twilio-setup: setup
	@$(python) -m commands.twilio_setup $(stage) $(if $(TO),--to $(TO)) $(if $(YES),--yes)

demo: setup
	@$(python) -m local.demo

test: setup
	@mkdir -p .build && rm -f $(permissions_used)
	@PERMISSIONS_USED=$(permissions_used) $(python) -m pytest -n 2 --dist loadfile

test-sam: setup
	@sh local/setup.sh sam
	@$(python) -m pytest tests/containers

permissions: setup
	@$(python) -m tools.permissions $(permissions_used)

simulate: setup
	@$(python) -m tests.simulation $(N)

soak: setup
	@$(python) -m tests.performance.soak --hours $(HOURS) --patients $(PATIENTS) --seed $(SEED)

templates: setup
	@$(python) -m local.templates

invoke: setup
	@$(python) -m local invoke "$(FN)" "$(EVENT)"

sam: setup
	@sh local/setup.sh sam
	@$(python) -m local sam

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
	@sh local/setup.sh checkov
	$(python) -m ruff format --check
	$(python) -m ruff check
	$(python) -m mypy
	$(python) -m local.templates check
	$(sam) validate --lint
	$(sam_build)
	$(python) -m tools.shipped .aws-sam/build $(ARCHITECTURE)
	$(python) -m tools.translate .aws-sam/translated.json
	.venv/bin/cfn-lint .aws-sam/translated.json examples/orchestrator/template.yaml
	.venv-checkov/bin/checkov --config-file .checkov.yaml --file .aws-sam/translated.json
	$(python) -m bandit --quiet --configfile pyproject.toml --recursive functions layers/shared commands local tools
	$(python) -m tools.audit
	@echo 'check: ok'

# After a change of dependencies: what the layer ships follows the lock.
requirements: setup
	.venv/bin/uv export --frozen --no-dev --no-emit-project --no-header --no-annotate --quiet -o layers/dependencies/requirements.txt
