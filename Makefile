# What a person types. `make help` explains itself.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
LAB := $(PYTHON) -m tools.lab
TIMED := @tools/ci/timed
# The roles that CI tests by themselves; the long tier has the others, in two halves that take about the same time.
CI_ROLES := app
DATA_ROLES := pgbackrest pgbouncer postgres rabbitmq redis
LONG_ROLES := $(filter-out shared $(CI_ROLES) $(DATA_ROLES),$(notdir $(wildcard molecule/*)))
# The long tier has the modules of which `unit` tests most on a real PostgreSQL.
LONG_TARGETS := materialized_view partition_set partition_set_info summary_table table_upkeep
CI_TARGETS := $(filter-out $(LONG_TARGETS),$(notdir $(wildcard tests/integration/targets/*)))
END_TO_END := pytest -q -s --durations=12 tests/end_to_end

.DEFAULT_GOAL := help
.PHONY: help up trio smoke autoscale maintain autoscale-test down test test-all lint bench convert-load env prepare unit unit-long integration integration-long integration-bookworm kills kills-all \
  molecule molecule-long molecule-data molecule-bookworm api cores end-to-end end-to-end-long end-to-end-lab labs loads rest production applications rolling upgrade soak-hosts soak-kills drill

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## from nothing to a running platform: environment, engine, image, VMs, roles; again: nothing changes
	@$(LAB) up lab

trio: ## the same for the trio: three VMs, each with every role
	@$(LAB) up trio

smoke: env ## real requests through nginx, each row looked up in the shard and the replica where it belongs
	@ansible-playbook playbooks/smoke.yml

autoscale: env ## the control loop on the lab (SCALEOUT_LAB=trio: on the trio), a line a cycle, until Ctrl-C
	@$(LAB) autoscale $${SCALEOUT_LAB:-lab}

maintain: env ## the upkeep of the databases of the lab (SCALEOUT_LAB=trio: of the trio), once
	@ansible-playbook --inventory=inventories/$${SCALEOUT_LAB:-lab} playbooks/maintain.yml

down: ## remove the VMs and networks of the lab and the trio
	@$(LAB) down

env: ## only the virtual environment with the pinned packages
	@$(LAB) env

prepare: ## the environment, the Docker engine, the image of the VMs, the secrets
	$(TIMED) prepare $(LAB) prepare

lint: env ## every static check, no rule skipped
	@tools/ci/lint

# CONTRIBUTING.md has the budget of each part; the parts print what they took.
test: env ## what CI runs, in at most 35 minutes
	@$(LAB) prepare
	@echo 'Two parts at a time; each is printed when it ends, the first after some fifteen minutes.'
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target end-to-end integration unit molecule kills

test-all: ## what `make test` leaves out: the lab, the other roles, applications, Debian 12, the newest ansible-core: at most 120 minutes
	@$(LAB) prepare
	@$(LAB) prepare bookworm
	@echo 'Two parts at a time; each is printed when it ends, and one that fails keeps no other from showing what it does.'
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target loads rest

# Not beside each other: where a machine is at its end, requests fail that would not, and the tests count them.
loads: ## what sends requests to VMs of its own, one after the other: labs production applications upgrade
	@$(MAKE) --no-print-directory --keep-going --jobs=1 labs production applications upgrade

rest: ## what of test-all sends no load, one after the other
	@$(MAKE) --no-print-directory --keep-going --jobs=1 integration-long molecule-data molecule-long cores unit-long api

unit: ## planners: tables and properties
	@$(LAB) env
	$(TIMED) unit pytest -q --durations=12 -m 'not long_tier' tests/unit

unit-long: env ## what waits for a cluster under Patroni again and again
	$(TIMED) unit-long pytest -q --durations=12 -m long_tier tests/unit

integration: ## modules against a real PostgreSQL and Consul
	@$(LAB) prepare
	$(TIMED) integration tests/integration/run $(CI_TARGETS)

integration-long: ## the modules of the databases' upkeep against a real PostgreSQL
	@$(LAB) prepare
	$(TIMED) integration-long tests/integration/run $(LONG_TARGETS)

kills: ## seven random kills of a configuration transaction, on one VM
	@$(LAB) prepare
	$(TIMED) kills tests/kills/run

kills-all: ## a soak: each service's transaction killed at each of its steps
	@$(LAB) prepare
	$(TIMED) --soak kills-all tests/kills/run --all

molecule: ## one role by itself, with an application of its own
	@$(LAB) prepare
	$(TIMED) molecule tests/molecule $(CI_ROLES)

molecule-long: ## the other roles, each by itself, but for those that keep data
	@$(LAB) prepare
	$(TIMED) molecule-long tests/molecule $(LONG_ROLES)

molecule-data: ## the roles that keep data, each by itself
	@$(LAB) prepare
	$(TIMED) molecule-data tests/molecule $(DATA_ROLES)

molecule-bookworm: ## a soak: every role on Debian 12
	@$(LAB) prepare bookworm
	$(TIMED) --soak molecule-bookworm env MOLECULE_RELEASE=bookworm tests/molecule

integration-bookworm: ## a soak: every module on Debian 12
	@$(LAB) prepare bookworm
	@tests/integration/playbook playbooks/fleet.yml -e fleet_state=absent
	$(TIMED) --soak integration-bookworm env LAB_RELEASE=bookworm tests/integration/run
	@tests/integration/playbook playbooks/fleet.yml -e fleet_state=absent

cores: env ## unit tests and ansible-test on the newest supported ansible-core
	$(TIMED) cores python tools/ci/cores.py

api: ## the reference API against real PostgreSQL pairs and Consul
	@$(LAB) prepare
	$(TIMED) api tests/api/run

end-to-end: ## the whole trio: up, smoke, second run, faults under load
	@$(LAB) prepare
	$(TIMED) end-to-end $(END_TO_END) -m 'not long_tier'

end-to-end-long: ## what takes minutes, on a trio that is up
	@$(LAB) prepare
	$(TIMED) end-to-end-long $(END_TO_END) -m long_tier

end-to-end-lab: ## the lab, one service a VM: what can depend on that
	@$(LAB) prepare
	$(TIMED) end-to-end-lab env SCALEOUT_LAB=lab $(END_TO_END) -m 'not long_tier'

labs: ## end-to-end-long on a trio of its own, then end-to-end-lab, each removed when it is done
	@$(LAB) up trio && $(MAKE) --no-print-directory end-to-end-long; long=$$?; $(LAB) down trio; \
		$(MAKE) --no-print-directory end-to-end-lab; lab=$$?; $(LAB) down lab; exit $$((long + lab))

production: ## the production example as it stands, on VMs of its own: from bare hosts until it is removed
	@$(LAB) prepare
	$(TIMED) production pytest -q -s --durations=8 tests/production

applications: ## Kinto and an application of Node beside the reference API, on a trio of its own
	@$(LAB) prepare
	$(TIMED) applications pytest -q -s --durations=8 tests/applications

autoscale-test: ## the control loop on a trio of its own: a pool grows under load and shrinks back, with kills and a brake
	@$(LAB) prepare
	$(TIMED) autoscale pytest -q -s --durations=8 tests/autoscale

rolling: ## rolling updates under load, sound and broken ones, and the way back, on a trio of its own
	@$(LAB) prepare
	$(TIMED) rolling pytest -q -s --durations=8 tests/rolling

upgrade: ## a platform of release 0.1.0, on Debian 12, is taken over under load
	@$(LAB) prepare bookworm
	$(TIMED) upgrade pytest -q -s --durations=8 tests/upgrade

soak-hosts: ## each VM of the lab (SCALEOUT_LAB=trio: of the trio) off in turn, two minutes each; goes on where it was
	@SCALEOUT_LAB=$${SCALEOUT_LAB:-lab} python -m tests.soak.each_host

soak-kills: ## site.yml killed while it changes a service, three times each, on the trio (SCALEOUT_LAB=lab: the lab)
	@python -m tests.soak.kill_runs

drill: env ## breaks the database cluster of the lab (SCALEOUT_LAB=trio: of the trio), fault after fault, and prints what each costs
	python -m tests.drill --rounds $${ROUNDS:-1}

convert-load: ## a plain table of 5M rows becomes a partition set under 500 writes a second; what the application notices
	@python -m tests.bench.convert

bench: ## our modules beside one-object tasks, as ratios
	@$(LAB) prepare
	@tests/bench/run
