# make demo: the main job, with the runtime dependencies alone.   make test: everything that is checked.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
CONFIG = settings.ini setup.py pyproject.toml constraints.txt
# two workers of one thread each: torch's threads spin against each other on few cores
WORKERS ?= 2
ONE_THREAD = OMP_NUM_THREADS=1

.PHONY: help demo test notebooks check drift docs serve lab bench export readme hooks clean
help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f'Phoenix needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
$(VENV)/.demo: $(BIN)/python $(CONFIG)
	$(PIP) -e .
	@touch $@
$(VENV)/.dev: $(BIN)/python $(CONFIG)
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo
$(VENV)/.docs: $(VENV)/.dev
	$(PIP) -e '.[dev,docs]'
	@touch $@

demo: $(VENV)/.demo  ## run the main job on real input
	$(BIN)/python -m phoenix.demo
test: $(VENV)/.dev check drift  ## lint, types, export drift, pytest with coverage: all checks of all notebooks, too
	$(ONE_THREAD) PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -q -rR -n $(WORKERS) --dist worksteal --cov --cov-report=term --cov-fail-under=85
notebooks: $(VENV)/.dev  ## the notebooks by themselves, without the package (make test runs their checks against it)
	$(ONE_THREAD) PATH="$(abspath $(BIN)):$$PATH" $(BIN)/nbdev_test --n_workers $(WORKERS) --timing
check: $(VENV)/.dev  ## ruff (lint, format) and ty
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/ty check --python $(VENV) phoenix
drift: $(VENV)/.dev  ## notebooks clean, package and README as the notebooks say
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/book.py check
export: $(VENV)/.dev  ## write the package, the README and the Colab cells from the notebooks
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/book.py write
docs: $(VENV)/.docs  ## build the site into _docs/
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/build_docs.py
serve: $(VENV)/.docs  ## build the site, serve it, and rebuild when a notebook is saved
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/build_docs.py --serve
lab: $(VENV)/.dev  ## JupyterLab on the notebooks, with the kernel of this environment
	$(BIN)/python -m ipykernel install --sys-prefix --name python3 --display-name "Phoenix (.venv)"
	$(BIN)/jupyter lab index.ipynb
bench: $(VENV)/.dev  ## run the benchmark notebooks, with the GPU's where there is one; a ratio out of its bound is an error
	$(ONE_THREAD) $(BIN)/python tools/run_nb.py --flags "slow$$($(BIN)/python -c 'import torch; print(" gpu" * torch.cuda.is_available())')" nbs/bench/*.ipynb && $(BIN)/nbdev_clean
hooks: $(VENV)/.dev  ## git hooks: nbdev's merge driver and pre-commit
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/nbdev_install_hooks && $(BIN)/pre-commit install
clean:  ## remove what is generated (not the environment)
	rm -rf _proc _docs _runs build dist *.egg-info
