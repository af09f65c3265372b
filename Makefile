# One word each; `make` alone prints the list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
CODE := tclif_core service clients benchmarks tests
# an interpreter that has braintrace, snnTorch and SpikingJelly, if another one than ours
PEERS ?= $(BIN)/python
SESSIONS ?= 100
# of what the page's tests show, what the documents have
STILLS := page_desktop_dark spoken_desktop_light spoken_phone_dark camera_desktop_light
SHORT_MEMORY := --results benchmarks/results/memory_short.json --figure docs/figures/memory_short.png

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## make .venv with everything the project needs

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[clients,train,s3,tracing,dev]'
	touch $@

.PHONY: demo
demo: install ## a server, a live replay, a network that learns before your eyes
	$(BIN)/python -m clients.demo

.PHONY: serve
serve: install ## start the server on 127.0.0.1:8700
	$(BIN)/tclif-serve

.PHONY: format
format: install ## rewrite the code in the house format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

.PHONY: metrics
metrics: install ## write docs/metrics.md anew after a metric changed
	$(BIN)/python -m service.metrics_table

.PHONY: settings
settings: install ## write docs/settings.md anew after a setting changed
	$(BIN)/python -m service.settings_table

.PHONY: lint
lint: install ## ruff and the import rules
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports

.PHONY: types
types: install ## mypy, strict
	$(BIN)/mypy

.PHONY: check
check: lint types ## lint and types

.PHONY: test
test: check ## the checks, then every test
	$(BIN)/pytest

.PHONY: test-gpu
test-gpu: install ## the CUDA kernel's tests on a GPU; refuses without one
	$(BIN)/python -m benchmarks.gpu_device
	$(BIN)/pytest -m gpu tests/tclif_core

.PHONY: test-faults
test-faults: install ## kills, cuts, full disks, damaged files by the hundred, about 20 minutes
	$(BIN)/pytest -s -v tests/faults

.PHONY: fuzz
fuzz: install ## a million random messages, about 12 minutes
	$(BIN)/python -m tests.fuzz.million --inputs 1000000 --seed 1
	$(BIN)/python -m tests.fuzz.atheris_decoder -runs=500000

.PHONY: test-compose
test-compose: install ## bring docker-compose.yml up for real and try it; needs a container engine
	$(BIN)/pytest tests/compose

.PHONY: test-page
test-page: install ## the page in a real Chromium; needs node, npm and a Chromium
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer" >&2; exit 1; }
	npm ci --prefix tests/page
	node --test --test-concurrency=1 tests/page/*.test.mjs

.PHONY: base-model
base-model: install ## train the model that comes with the server anew, about 15 minutes
	$(BIN)/tclif-train "digits:english?n=2000&voices=0-39" --test "digits:english?n=300&voices=40-47" \
		--validate-share 0.1 --method bptt --passes 15 --channel-shift 15 --time-stretch 0.15 \
		--event-drop-out 0.15 --seed 1 --plain --no-plot --output build/digits.safetensors
	mkdir -p service/models
	cp build/digits.safetensors service/models/digits.safetensors

.PHONY: pictures
pictures: install ## take the page's pictures and its film for the documents
	rm -rf build/pictures build/film
	mkdir -p build/pictures
	PICTURES=$(CURDIR)/build/pictures $(MAKE) test-page
	$(BIN)/python -m benchmarks.stills build/pictures docs/figures $(STILLS)
	node tests/page/film.mjs build/film
	$(BIN)/python -m benchmarks.film build/film docs/figures/page.gif

.PHONY: coverage
coverage: install ## tests with branch coverage
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --show-missing --skip-covered

.PHONY: bench
bench: test ## kernels, memory, cochlea, sockets, service, peers, under 10 minutes; refuses on a red build
	$(BIN)/python -m benchmarks.kernels --rounds 3
	$(BIN)/python -m benchmarks.session_memory --ticks 100000
	$(BIN)/python -m benchmarks.memory --most-ticks 10000 $(SHORT_MEMORY)
	$(BIN)/python -m benchmarks.cochlea
	$(BIN)/python -m benchmarks.service_wire
	$(BIN)/python -m benchmarks.socket_ceiling
	$(BIN)/python -m benchmarks.service
	$(BIN)/python -m benchmarks.peers --rounds 3 --python $(PEERS)
	$(BIN)/python -m benchmarks.summary

.PHONY: bench-load
bench-load: install ## 10 minutes of SESSIONS=100 sessions in real time, then 10 with all ends together
	$(BIN)/python -m benchmarks.service --seconds 600 --sessions $(SESSIONS)

.PHONY: bench-gpu
bench-gpu: test-gpu ## check the CUDA kernel on a GPU, then measure it; refuses without one
	$(BIN)/python -m benchmarks.gpu

.PHONY: bench-page
bench-page: install ## the lag from sound to prediction on the page, half a minute; needs what test-page needs
	npm ci --prefix tests/page
	node benchmarks/page_lag.mjs

.PHONY: bench-hostile
bench-hostile: install ## what peers of bad will cost the others, about 6 minutes
	$(BIN)/python -m benchmarks.hostile

.PHONY: soak
soak: install ## half an hour of churning sessions: memory, files and lag stay flat
	$(BIN)/python -m benchmarks.soak

.PHONY: clean
clean: ## remove what was built, the environment included
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
