# What a person types. `make help` explains itself.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
LAB := $(PYTHON) -m tools.lab

.DEFAULT_GOAL := help
.PHONY: help up trio smoke down test test-all lint bench env unit integration molecule api cores end-to-end end-to-end-lab

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## from nothing to a running platform: environment, engine, image, VMs, roles; again: nothing changes
	@$(LAB) up lab

trio: ## the same for the trio: three VMs, each with every role
	@$(LAB) up trio

smoke: env ## real requests through nginx, each row looked up in the shard and the replica where it belongs
	@ansible-playbook playbooks/smoke.yml

down: ## remove the VMs and networks of the lab and the trio
	@$(LAB) down

env: ## only the virtual environment with the pinned packages
	@$(LAB) env

lint: env ## every static check, no rule skipped
	@tools/ci/lint

test: env unit integration molecule end-to-end ## what CI runs

test-all: test cores api end-to-end-lab ## and the newest ansible-core, the API's tests, the lab under faults, all roles, Debian 12
	@tests/molecule
	@$(LAB) prepare bookworm
	@tests/integration/playbook playbooks/fleet.yml -e fleet_state=absent
	@LAB_RELEASE=bookworm tests/integration/run
	@tests/integration/playbook playbooks/fleet.yml -e fleet_state=absent
	@MOLECULE_RELEASE=bookworm tests/molecule

unit: env ## planners: tables and properties
	@pytest -q tests/unit

integration: ## each module against a real PostgreSQL and Consul
	@$(LAB) prepare
	@tests/integration/run

molecule: ## two roles by themselves, a database and somebody's application
	@$(LAB) prepare
	@tests/molecule postgres app

cores: env ## unit tests and ansible-test on the newest supported ansible-core
	@python tools/ci/cores.py

api: ## the reference API against real PostgreSQL pairs and Consul
	@$(LAB) prepare
	@tests/api/run

end-to-end: ## the whole trio: up, smoke, second run, faults under load
	@$(LAB) prepare
	@pytest -q -s --durations=12 tests/end_to_end

end-to-end-lab: ## the same on the lab, one service a VM
	@$(LAB) prepare
	@SCALEOUT_LAB=lab pytest -q -s --durations=12 tests/end_to_end

bench: ## our modules beside one-object tasks, as ratios
	@$(LAB) prepare
	@tests/bench/run
