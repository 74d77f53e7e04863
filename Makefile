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

.PHONY: help demo test test-unit bench-decisions bench-objective bench-core bench-sources bench-vertical bench-metrics \
        bench-memory bench-answers bench-app bench-faults bench-ingress bench-operator check format cluster-up cluster-programs \
        cluster-status images images-check sbom cluster-load cluster-down \
        profile-pictures top-picture crds docs dist metrics-reference monitoring lock venv manifest-tools \
        test-tools clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: venv ## Show an app that scales under real load, cluster included (MODE=vertical or combined: pod sizes, too)
	@$(BIN)/python -m demo $(if $(MODE),--mode $(MODE))

test: venv test-tools manifest-tools ## Run every test that can run here, including on a real cluster (ARGS="-k routing": some)
	@$(BIN)/python tools/run_tests.py $(ARGS)

test-unit: venv ## Run the quick tests, without a cluster or servers
	@$(BIN)/pytest -q -n auto -m "not cluster and not e2e and not process"

bench-decisions: venv ## Compare our policies with the baselines on load curves (ARGS=--quick; --traces DIR adds real ones)
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.decisions $(ARGS)

bench-objective: venv ## Measure an objective in a world of single requests, beside HPA on CPU (ARGS="--only release": some)
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.objective $(ARGS)

bench-core: venv ## Measure the cost of deciding: decisions per second, one tick of 1,000 and 5,000 apps
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.core

bench-sources: venv ## Measure the cost of a look at 5,000 apps with one request source and with four
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.sources

bench-vertical: venv ## Measure time to target after a step of CPU, ours and VPA's, and the cost of deciding on sizes
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.vertical

bench-metrics: venv ## Measure the cost of scraping the operator's own metrics, with up to 5,000 apps
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.metrics

bench-memory: venv ## Measure the operator's memory under the largest objects that tenants may make (ARGS=--only ordinary)
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.memory $(ARGS)

bench-answers: venv ## Measure the memory that the largest answers of Prometheus take
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.answers

bench-app: venv test-tools ## Measure the gain of each technique of the sample app, as ratios (ARGS=--quick; --only cache)
	@PYTHONPATH=sample-app $(BIN)/python -m benchmarks.app $(ARGS)

bench-faults: venv ## Break the API server, Prometheus and other tenants' objects, and measure scaling (ARGS=--quick; --only TEXT)
	@PYTHONPATH=operator $(BIN)/python -m benchmarks.faults $(ARGS)

bench-ingress: venv ## Count requests lost through Ingress and HTTPRoute while pods scale, roll and drain (ARGS=--requests 20000)
	@$(BIN)/python -m benchmarks.ingress $(ARGS)

bench-operator: venv ## Measure memory and CPU of the operator in the cluster, and of its imports
	@PYTHONPATH=operator $(BIN)/python benchmarks/imports.py
	@PYTHONPATH=operator $(BIN)/python benchmarks/operator_at_rest.py

check: venv ## Check lint, types, layers, size limits and generated files
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

cluster-up: ## Create the kind cluster (ARGS=--existing: use your kubeconfig's; KUBERNETES=1.34.4: another version)
	@KUBERNETES=$(KUBERNETES) $(PYTHON) -m cluster up $(ARGS)

cluster-programs: ## Compile the cluster's programs from Go modules in advance, as cluster-up does without a registry
	@KUBERNETES=$(KUBERNETES) $(PYTHON) -m cluster compile $(ARGS)

cluster-status: ## Show what is running
	@$(PYTHON) -m cluster status

images: ## Build this repository's images and list their sizes
	@$(PYTHON) -m cluster images

images-check: ## Build every image twice without a cache and compare them file by file (ARGS=sample-app: one)
	@$(PYTHON) tools/check_reproducible.py $(ARGS)

sbom: venv ## Write the bill of materials of every image to dist/sbom (CycloneDX; ARGS=sample-app: one)
	@$(BIN)/python -m tools.sbom $(ARGS)

cluster-load: ## Build this repository's images and load them into the cluster
	@$(PYTHON) -m cluster load

cluster-down: ## Remove the cluster (ARGS=--all: also the engine it installed)
	@$(PYTHON) -m cluster down $(ARGS)

profile-pictures: venv ## Redraw the profiles of docs/profiling.md
	@$(BIN)/python tools/profile_pictures.py

top-picture: venv ## Redraw docs/images/top.svg from apps under load on the kind cluster (2 to 3 minutes)
	@PYTHONPATH=operator $(BIN)/python tools/top_picture.py

crds: venv ## Regenerate crds/ from the spec's models
	@$(BIN)/python tools/generate_crd.py

docs: venv ## Regenerate docs/api.md from the CRD, the reasons and the settings, and the README's picture
	@PYTHONPATH=operator $(BIN)/python -m tools.generate_api
	@$(BIN)/python -m demo.animation docs/images/demo-run.json docs/images/demo.svg

dist: manifest-tools ## Write dist/: install.yaml for kubectl, and the Helm chart as an archive
	@mkdir -p $(DIST)
	@$(WITH_MANIFEST_TOOLS) kubectl kustomize manifests/overlays/production >$(DIST)/install.yaml
	@$(WITH_MANIFEST_TOOLS) helm package charts/scalableapp --destination $(DIST)

metrics-reference: venv ## Regenerate docs/metrics.md from the operator's metrics
	@$(BIN)/python tools/metrics_reference.py

monitoring: venv ## Regenerate the files of manifests/components/monitoring
	@$(BIN)/python tools/monitoring.py

lock: venv ## Pin every dependency again, with hashes
	@tools/lock.sh

venv: $(STAMP) ## Create the virtual environment

$(STAMP): requirements/dev.txt pyproject.toml
	@tools/make_venv.sh $(PYTHON) $(VENV) requirements/dev.txt
	@touch $@

manifest-tools: $(MANIFEST_TOOLS)/.installed

$(MANIFEST_TOOLS)/.installed: requirements/manifest-tools.txt tools/get_manifest_tools.py | $(STAMP)
	@$(BIN)/python tools/get_manifest_tools.py $< $(@D)
	@mkdir -p $(@D) && touch $@

test-tools:
	@tools/install_test_tools.sh

clean: ## Remove what the targets created here (not the cluster or its cache)
	rm -rf $(VENV) dist demo-report .pytest_cache .mypy_cache .ruff_cache .hypothesis
