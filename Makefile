# Every target sets up what it needs and can be run again; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MANIFEST_TOOLS := $(VENV)/tools
WITH_MANIFEST_TOOLS := PATH="$(CURDIR)/$(MANIFEST_TOOLS):$$PATH"
DIST ?= dist
SOURCES := operator cluster demo sample-app benchmarks tools tests

.PHONY: help demo test test-unit bench-decisions bench-core bench-vertical bench-metrics bench-app \
        bench-ingress bench-operator check format cluster-up cluster-programs cluster-status images images-check sbom cluster-load cluster-down \
        profile-pictures top-picture crds docs dist metrics-reference monitoring lock venv manifest-tools \
        test-tools clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: venv ## Show an app that scales under real load, cluster included (MODE=vertical or combined: sizes, too)
	@$(BIN)/python -m demo $(if $(MODE),--mode $(MODE))

test: venv test-tools manifest-tools ## Run every test that can run here, on the real cluster too (ARGS="-k routing": some)
	@$(BIN)/python tools/run_tests.py $(ARGS)

test-unit: venv ## Run the quick tests, which need no cluster and no servers
	@$(BIN)/pytest -q -n auto -m "not cluster and not e2e and not process"

bench-decisions: venv ## Our policies and the baselines' on load curves (ARGS=--quick; --traces DIR adds real ones)
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.decisions $(ARGS)

bench-core: venv ## What deciding costs: decisions a second, one tick of 1,000 and 5,000 apps
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.core

bench-vertical: venv ## Time to target after a step of CPU, ours and VPA's; what deciding on sizes costs
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.vertical

bench-metrics: venv ## What a scrape of the operator's own metrics costs, with up to 5,000 apps
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.metrics

bench-app: venv test-tools ## What each technique of the sample app is worth, as ratios (ARGS=--quick; --only cache)
	@PYTHONPATH=sample-app $(BIN)/python -m benchmarks.app $(ARGS)

bench-ingress: venv ## Requests lost through Ingress and HTTPRoute while pods scale, roll and drain (ARGS=--requests 20000)
	@$(BIN)/python -m benchmarks.ingress $(ARGS)

bench-operator: venv ## Memory and CPU of the operator in the cluster, and of what it imports
	@PYTHONPATH=operator $(BIN)/python benchmarks/imports.py
	@PYTHONPATH=operator $(BIN)/python benchmarks/operator_at_rest.py

check: venv ## Lint, types, layers, size limits
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@PYTHONPATH=operator $(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/check_size.py $(SOURCES)
	@$(BIN)/python tools/generate_crd.py --check
	@PYTHONPATH=operator $(BIN)/python -m tools.generate_api --check
	@$(BIN)/python tools/metrics_reference.py --check
	@$(BIN)/python tools/monitoring.py --check

format: venv ## Format the code
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

cluster-up: ## Bring the kind cluster up (ARGS=--existing: your kubeconfig's; KUBERNETES=1.34.4: another version)
	@KUBERNETES=$(KUBERNETES) $(PYTHON) -m cluster up $(ARGS)

cluster-programs: ## Compile the cluster's programs from Go modules beforehand, as cluster-up does without a registry
	@KUBERNETES=$(KUBERNETES) $(PYTHON) -m cluster compile $(ARGS)

cluster-status: ## Say what runs
	@$(PYTHON) -m cluster status

images: ## Build this repository's images and list their sizes
	@$(PYTHON) -m cluster images

images-check: ## Build every image twice without a cache and compare them file by file (ARGS=sample-app: one)
	@$(PYTHON) tools/check_reproducible.py $(ARGS)

sbom: venv ## Write the bill of materials of every image to dist/sbom (CycloneDX; ARGS=sample-app: one)
	@$(BIN)/python -m tools.sbom $(ARGS)

cluster-load: ## Build this repository's images and load them into the cluster
	@$(PYTHON) -m cluster load

cluster-down: ## Remove the cluster (ARGS=--all: the engine it installed, too)
	@$(PYTHON) -m cluster down $(ARGS)

profile-pictures: venv ## Draw the profiles of docs/profiling.md anew
	@$(BIN)/python tools/profile_pictures.py

top-picture: venv ## Draw docs/images/top.svg anew from apps under load on the kind cluster (2 to 3 minutes)
	@PYTHONPATH=operator $(BIN)/python tools/top_picture.py

crds: venv ## Write crds/ anew from the spec's models
	@$(BIN)/python tools/generate_crd.py

docs: venv ## Write docs/api.md anew from the CRD, the reasons and the settings, and the README's picture
	@PYTHONPATH=operator $(BIN)/python -m tools.generate_api
	@$(BIN)/python -m demo.animation docs/images/demo-run.json docs/images/demo.svg

dist: manifest-tools ## Write dist/: install.yaml for kubectl, and the Helm chart as an archive
	@mkdir -p $(DIST)
	@$(WITH_MANIFEST_TOOLS) kubectl kustomize manifests/overlays/production >$(DIST)/install.yaml
	@$(WITH_MANIFEST_TOOLS) helm package charts/scalableapp --destination $(DIST)

metrics-reference: venv ## Write docs/metrics.md anew from the operator's metrics
	@$(BIN)/python tools/metrics_reference.py

monitoring: venv ## Write the generated files of manifests/components/monitoring anew
	@$(BIN)/python tools/monitoring.py

lock: venv ## Pin every dependency anew, with hashes
	@tools/lock.sh

venv: $(STAMP) ## Make the virtual environment

$(STAMP): requirements/dev.txt pyproject.toml
	@tools/make_venv.sh $(PYTHON) $(VENV) requirements/dev.txt
	@touch $@

manifest-tools: $(MANIFEST_TOOLS)/.installed

$(MANIFEST_TOOLS)/.installed: requirements/manifest-tools.txt tools/get_manifest_tools.py | $(STAMP)
	@$(BIN)/python tools/get_manifest_tools.py $< $(@D)
	@mkdir -p $(@D) && touch $@

test-tools:
	@tools/install_test_tools.sh

clean: ## Remove what the targets made here (not the cluster, not its cache)
	rm -rf $(VENV) dist demo-report .pytest_cache .mypy_cache .ruff_cache .hypothesis
