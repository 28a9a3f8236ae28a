# Everything runs in .venv, which each target makes if need be. Paths here are relative: the checkout's may hold spaces.
DATA = embedded
ROOT =
PROFILE = full
ARGS =

BIN = .venv/bin
STAMP = .venv/.installed
EXTRAS = .venv/.extras
TARGET = $(firstword $(MAKECMDGOALS))

# The first Python within pyproject's bound that can make an environment; 3.11 is the tested one.
PYTHON = $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 \
	&& { command -v "$$python"; break; }; done)
NO_PYTHON = no usable Python: install 3.11, 3.12 or 3.13 with its venv module (Debian, Ubuntu: python3-venv), \
	or say make $(TARGET) PYTHON=/path/to/python3.11

# A file of tests stays on one core, as its tests share what they prepare; the slowest files begin (tests/conftest.py).
CORES = -n auto --dist loadfile --no-loadscope-reorder

SUFFIX = $(if $(filter smoke,$(PROFILE)),_smoke)
# By the environment, and in Hydra's quotes: a path may hold spaces and signs.
export ROOT
# Runs of another set than the embedded one have a folder of their own.
SET = data=$(DATA) $(if $(ROOT),"data.root='$$ROOT'") $(if $(filter-out embedded,$(DATA)),$(if $(filter paths.outputs=%,$(ARGS)),,paths.outputs=outputs/on_$(DATA)))
# Which words of ARGS a program has, picked by the shell, so that quotes hold. A list (seed=0,1) is the sweep's alone:
# prepare and report run once. In brackets it is one value.
pick = set --; for word in $(SET) $(ARGS); do case "$$word" in *=*[[]*) ;; *,*) continue;; esac; \
	case "$$word" in $(1)) set -- "$$@" "$$word";; esac; done;
OF_PREPARE = data*|+data*|skeleton*|windows*|size_px*|paths*|prepare*|experiment*|+set@*|hydra.searchpath*|--config-dir=*
OF_REPORT = study*|out=*|paths*|published*|--config-dir=*

.DEFAULT_GOAL = help
.PHONY: help setup extras test test-all faults lint format bench lock clean reproduce-table options FORCE

help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile
	@echo '  variables of reproduce-table: DATA=embedded|flic|all|... ROOT=/path/to/the/set PROFILE=full|smoke'
	@echo '  ARGS="..." hands more to the program, e.g. make test ARGS="-k windows"'

setup: $(STAMP) ## install the pinned packages into .venv, once

# The stamp is written last and holds the checkout's path. Without it, or with another path in it (a moved checkout),
# or with the interpreter gone, .venv starts anew; when only the pins changed, pip mends what is there.
ifneq ($(wildcard $(BIN)/python)|$(shell cat $(STAMP) 2>/dev/null),$(BIN)/python|$(CURDIR))
FRESH = --clear
$(STAMP): FORCE
endif

$(STAMP): pyproject.toml constraints.txt
	@$(if $(FRESH),$(if $(PYTHON),,$(error $(NO_PYTHON))))
	@echo 'installing the pinned packages into .venv: about 3 minutes, more on a slow line'
	@rm -f $(STAMP)
	@$(if $(FRESH),"$(PYTHON)" -m venv --clear .venv)
	@$(BIN)/python -m pip install --disable-pip-version-check $(if $(FRESH),,--quiet) -c constraints.txt -e '.[dev,export,demo,dashboard]'
	@pwd -P > $(STAMP)

# What only a cluster or a search needs: the slow tests do, setup and the others do not.
$(EXTRAS): $(STAMP)
	@echo 'installing the extras slurm, ray and optuna into .venv: about a minute'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[slurm,ray,optuna]'
	@touch $(EXTRAS)

extras: $(EXTRAS) ## install also what only a cluster or a search needs

test: $(STAMP) ## the test suite, without the slow ones
	$(BIN)/python -m pytest $(CORES) -m 'not slow' $(ARGS)

test-all: $(EXTRAS) ## the whole test suite, on SLURM (tests/cluster/slurm.sh install) and Ray too
	$(BIN)/python -m pytest $(CORES) $(ARGS)

faults: $(STAMP) ## kill, starve and damage a sweep in 46 ways: figures into experiments/faults/faults.csv
	rm -f experiments/faults/faults.csv
	HMLPE_FAULTS=experiments/faults/faults.csv $(BIN)/python -m pytest -v tests/sweep/test_faults.py $(ARGS)

lint: $(STAMP) ## ruff, the format, and mypy's strict types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(STAMP) ## mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(STAMP) ## speed of hmlpe-train against bare steps, the machine's peak and a plain template; evaluation, sweeps
	$(BIN)/hmlpe-prepare
	$(BIN)/hmlpe-bench $(ARGS)

# A failed row keeps no report away, but the exit status is the sweep's.
reproduce-table: options $(STAMP) ## the weight-ablation table and its page; a second call does only what is missing
	@$(call pick,$(OF_PREPARE)) printf '%s\n' "hmlpe-prepare $$*"; $(BIN)/hmlpe-prepare "$$@"
	@set -- experiment=weight_ablation$(SUFFIX) $(SET) $(ARGS); printf '%s\n' "hmlpe-train -m $$*"; \
	status=0; $(BIN)/hmlpe-train -m "$$@" || status=$$?; \
	$(call pick,$(OF_REPORT)) \
	$(if $(filter study=%,$(ARGS)),,set -- study=weight_ablation$(SUFFIX) "$$@";) \
	printf '%s\n' "hmlpe-report $$*"; \
	$(BIN)/hmlpe-report "$$@" && exit $$status

options:
	@$(if $(filter 1,$(words $(filter full smoke,$(PROFILE)) $(filter-out full smoke,$(PROFILE)))),\
		$(if $(filter full smoke,$(PROFILE)),,$(error PROFILE=$(PROFILE): it is full or smoke)),\
		$(error PROFILE=$(PROFILE): it is full or smoke))
	@$(if $(wildcard conf/data/$(DATA).yaml),,$(error DATA=$(DATA): no such set; there are \
		$(patsubst conf/data/%.yaml,%,$(wildcard conf/data/*.yaml))))
	@$(if $(filter embedded,$(DATA))$(ROOT),,$(error DATA=$(DATA) needs ROOT=/path/to/the/set, e.g. ROOT=/datasets/FLIC))

# To move the pins: change .venv (pip install -U ...), make test-all, make lock. Local tags (+cpu) go, so that every
# index serves the versions; setuptools stays, torch needs it.
lock: $(EXTRAS) ## write constraints.txt from what .venv holds
	@{ echo '# The tested set: make lock'; \
	$(BIN)/python -m pip freeze --all --exclude pip --exclude hmlpe | sed 's/+[^+]*$$//'; } > constraints.tmp
	@mv constraints.tmp constraints.txt
	@touch $(STAMP)
	@touch $(EXTRAS)

clean: ## remove caches and builds; .venv, data and outputs stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
