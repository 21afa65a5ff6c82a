# Every target sets up what it needs by itself, and skips what is already there.
STAGE ?= local
PY = .venv/bin/python
# Where an image has Python keep no compiled modules, each process would compile its own: the CDK's take 8 s.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format synth deploy destroy audit docs lock clean

help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## make .venv (Python packages, Node, Java), if it is not there
	@PYTHON="$(PYTHON)" ./scripts/setup.sh

run: setup ## the main job on the sample data: deploy to the local cloud, ingest, process, show gold and the books
	@.venv/bin/atlas demo

test: setup ## units, both engines, infrastructure, and the sample and its troubles from end to end on the local cloud
	@echo "atlas: unit tests, two at a time"
	@$(PY) -m pytest -n 2 tests/unit
	@echo "atlas: the local cloud from end to end, days on DuckDB and on Spark, infrastructure, two at a time"
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e tests/engines tests/infra tests/local

lint: setup ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: setup ## let ruff put the code in order
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

synth: setup ## synthesize the templates of STAGE into cdk.out (no AWS account needed)
	@$(PY) -m atlas_cli.cdk synth --quiet -c stage=$(STAGE)

deploy: setup ## say what a deployment of STAGE does, ask (APPROVE=yes for pipelines), do it: make deploy STAGE=dev
	@$(PY) -m atlas_cli.deploy deploy $(STAGE)

destroy: setup ## delete a deployed STAGE with all that it holds, if it says removal: destroy (APPROVE=STAGE for pipelines)
	@$(PY) -m atlas_cli.deploy destroy $(STAGE)

audit: setup ## known vulnerabilities of what is locked (Python, npm), and faults of the workflows
	@$(PY) -m atlas_cli.audit

docs: setup ## regenerate the generated pages of docs/
	@$(PY) -m atlas_cli.docs

lock: setup ## renew the lock files: of this project, of the Lambda layers, and of what comes from npm
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra dev pyproject.toml -o requirements.lock
	@for layer in ingestion day events queries; do \
		$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-header -c requirements.lock stacks/layer/$$layer.in -o stacks/layer/$$layer.lock || exit 1; \
	done
	@$(PY) -m stacks.npm stacks/page tests/browser

clean: ## stop the local cloud and remove everything that was made here
	@if [ -x .venv/bin/atlas ]; then .venv/bin/atlas down || true; fi
	rm -rf .venv .atlas cdk.out .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
