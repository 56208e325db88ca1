# The house's commands. `make` lists them; every one sets up what it needs.
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test kills traced lint docs editor bench recipes

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## Create .venv with every dependency pinned (nothing happens where it is current)
	@sh .ci/setup

demo: setup ## Check, draw, cost, compile, train (two minutes) and sample a small GPT
	@$(PY) examples/demo.py

test: setup ## Run every test
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n logical --maxprocesses 8 --dist worksteal -q

kills: setup ## Kill a training run a thousand times (KILLS=n: n times): nothing saved is lost, all losses equal to the bit
	@OMP_NUM_THREADS=1 $(PY) -m tests.kills $(KILLS)

traced: setup ## Trace the compiled step of every spec that decodes, and run it beside the model (two minutes)
	@EVERY_SPEC=1 OMP_NUM_THREADS=1 $(PY) -m pytest tests/sampling/test_step.py -n 2 -q

lint: setup ## Check style, types and the layers of imports
	@failed=; for each in "ruff check ." "ruff format --check ." pyright "lint-imports --no-cache"; do \
	    echo "-- $$each"; .venv/bin/$$each || failed="$$failed $$each"; \
	done; test -z "$$failed" || { echo "lint failed:$$failed"; exit 1; }

docs: setup ## Write the generated pages anew: kinds, errors, the JSON Schema, the README's diagram
	@$(PY) -m docs.build

editor: setup ## Drive yaml-language-server with the schema (npm fetches it): completions, hovers, messages
	@npm install --silent --no-save --prefix .venv/editor yaml-language-server@2.0.0
	@YAML_LANGUAGE_SERVER=$(CURDIR)/.venv/editor/node_modules/.bin/yaml-language-server $(PY) -m pytest -q tests/editor/drive.py

recipes: setup ## Train each recipe under examples/ and check the figure that its page states (tens of minutes)
	@$(PY) -m examples.recipes

bench: setup ## Compare speed with transformers, x-transformers and litgpt (in an environment of their own)
	@$(PY) -m tests.benchmarks
	@$(PY) -m tests.benchmarks.long
