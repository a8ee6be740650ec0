# Two commands: `make demo` shows the whole walk, `make test` proves it. Both start with `make setup`.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME ?= cpu
STAMP   := $(VENV)/.installed-$(RUNTIME)

# Benchmark images for the tests that want them, where they lie beside the checkout.
ifneq ($(wildcard ../shared/data/bench/labels.csv),)
export CBIR_TEST_DATA ?= $(abspath ../shared/data)
endif

.PHONY: setup orthanc demo test lint lock screenshots pin clean

setup: $(STAMP)

$(STAMP): requirements/$(RUNTIME).lock requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "The venv module is missing: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the locked packages into $(VENV) (a minute or two) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/$(RUNTIME).lock -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* && touch $@

orthanc:
	@sh demo/install_orthanc.sh

demo: setup
	@sh demo/install_orthanc.sh || true
	@$(BIN)/python -m demo $(if $(DATA),--data "$(DATA)") $(if $(ONCE),--once)

test: setup
	@sh tests/install_tools.sh
	@CBIR_REQUIRE_ORTHANC=1 CBIR_REQUIRE_POSTGRESQL=1 CBIR_REQUIRE_BROWSER=1 CBIR_REQUIRE_COMPOSE=1 \
		$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

screenshots: setup
	@CBIR_REQUIRE_ORTHANC=1 CBIR_REQUIRE_BROWSER=1 CBIR_TEST_SCREENSHOTS=docs/screenshots \
		$(BIN)/pytest --quiet tests/integration/test_page.py

pin: setup
	@$(BIN)/python docker/pin.py

lock:
	@for extra in cpu gpu; do $(BIN)/uv pip compile pyproject.toml --extra $$extra --extra postgresql \
		--universal --python-version 3.11 --no-header --no-annotate --generate-hashes --quiet \
		-o requirements/$$extra.lock; done
	@printf 'pylibjpeg-libjpeg>=2.5\n' | $(BIN)/uv pip compile - --constraint requirements/cpu.lock \
		--universal --python-version 3.11 --no-header --no-annotate --generate-hashes --quiet \
		-o requirements/jpeg12.lock
	@printf 'setuptools==82.0.1\n' | $(BIN)/uv pip compile - --no-header --no-annotate --generate-hashes \
		--quiet -o requirements/build.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --constraint requirements/cpu.lock \
		--universal --python-version 3.11 --no-header --no-annotate --generate-hashes --quiet \
		-o requirements/dev.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
