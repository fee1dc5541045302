# make demo    the whole way on a packaged network and synthetic events; ends with the path of an HTML report
# make test    ruff, mypy, then the whole test suite; ends with pytest's closing line
#
# Both make a virtual environment in .venv and install into it once. Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
WORKERS ?= 2
OUT ?= out/demo

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

export OMP_NUM_THREADS ?= 1

.PHONY: demo test

demo: .venv/.installed
	@$(BIN)/python -m s2nir demo --output $(OUT)

test: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "s2nir needs Python 3.11 or newer; PYTHON is '$(PYTHON)': $$($(PYTHON) --version 2>&1)." \
	       "Name another one, as in: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: pyproject.toml .venv/.created
	$(INSTALL) -e .
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt .venv/.created
	$(INSTALL) -c constraints.txt -e '.[train,viz,data,cluster,dev]'
	@touch $@ .venv/.installed
