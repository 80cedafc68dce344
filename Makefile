# MedSynth: `make serve` and `make test` prepare .venv by themselves and redo it only when requirements change.

PYTHON  ?= python3
HOST    ?= 127.0.0.1
PORT    ?= 8000
STUDIES ?= sample-data/studies
CONF    ?=

BIN   := .venv/bin
READY := .venv/.ready
UV    := uv==0.13.9

# A start reads thousands of modules: where Python may not keep their bytecode, each one takes four times as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test test-quick lint clean

serve: $(READY)
	$(BIN)/python -m medsynth_app.commands.serve --host "$(HOST)" --port "$(PORT)" --studies "$(STUDIES)" --conf "$(CONF)"

test: $(READY)
	$(BIN)/python -m pytest

test-quick: $(READY)
	$(BIN)/python -m pytest -m "not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy medsynth_app

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 12) else "MedSynth needs Python 3.10 to 3.12, this is %d.%d; set PYTHON=" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# uv is several times faster; pip also knows what only pip's own settings tell, such as a hospital's mirror.
	$(BIN)/python -m pip install --disable-pip-version-check -q $(UV) \
		&& $(BIN)/python -m uv pip install --python $(BIN)/python -r requirements.txt \
		|| $(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@# The extra "raw": 290 MB. A mirror that lacks it must not stop the rest; a raw study then says what to install.
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[raw]" \
		|| echo "medsynth: the extra 'raw' could not be installed; raw studies need a brain mask until it is" >&2
	touch $(READY)

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
