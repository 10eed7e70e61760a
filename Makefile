# Everything happens in .venv, made on first use from pyproject.toml and constraints.txt.
PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := .venv/ready

.PHONY: help lecture slides test test-live lab data data-passes data-details bench clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

lecture: $(READY)  ## execute every notebook and write the pages to build/
	$(BIN)/python -m sphinx -q -W --keep-going -b html notebooks build
	@echo "The lecture is in build/index.html: open it in a browser, no network needed."

slides: $(READY)  ## write the slides to build/slides/, a file a deck
	$(BIN)/python notebooks/_slides.py build/slides
	@echo "The slides are in build/slides/: open 00.html in a browser; S shows the speaker's notes."

test: $(READY)  ## run everything that continuous integration runs
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/python -m pytest tests
	$(BIN)/python -m pytest --nbval notebooks

test-live: $(READY)  ## try panels and training in JupyterLab, in a browser
	$(BIN)/python -m pytest tests/live

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

data: $(READY)  ## make every file in data/ and figures/ again (resumable)
	$(BIN)/python -m lecture_utils.recordings
	$(BIN)/python -m lecture_utils.optimal
	$(BIN)/python -m lecture_utils.true_advantages
	$(BIN)/python -m lecture_utils.exercises_runs
	$(BIN)/python -m lecture_utils.figures

data-passes: $(READY)  ## record the experiment of notebook 04 again (hours of processor time, resumable)
	$(BIN)/python -m lecture_utils.passes

data-details: $(READY)  ## record the experiments of notebook 05 again (an hour of processor time, resumable)
	$(BIN)/python -m lecture_utils.details
	$(BIN)/python -m lecture_utils.time_to_solve

bench: $(READY)  ## time training, environments, notebooks and sweeps; tables, and build/benchmarks.json
	$(BIN)/python -m pytest tests/benchmarks

clean:  ## remove what was built (the environment too)
	rm -rf build jupyter_execute .venv *.egg-info

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,pages,sweep]"
	@touch $@
