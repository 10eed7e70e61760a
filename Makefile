# Everything happens in .venv, made on first use from pyproject.toml and constraints.txt.
PYTHON ?= python3
PROGRAMS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(PROGRAMS)
LOWEST := .venv-lowest
READY := .venv/ready
# Tests at once; a worker takes a core and up to 2 GB.
WORKERS ?= 2

.PHONY: help lecture slides test test-live test-long test-lowest class grade lab data data-passes data-details data-language bench clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

lecture: $(READY)  ## execute every notebook and write the pages to build/
	$(BIN)/python -m sphinx -q -W --keep-going -b html notebooks build
	@echo "The lecture is in build/index.html: open it in a browser, no network needed."

slides: $(READY)  ## write the slides to build/slides/, a file a deck
	$(BIN)/python notebooks/_slides.py build/slides
	@echo "The slides are in build/slides/: open 00.html in a browser; S shows the speaker's notes."

# Kernels beside each other: a thread each, or they wait for one another.
test test-lowest: export OMP_NUM_THREADS = 1
test: $(READY)  ## run everything that continuous integration runs
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --nbval notebooks

test-live: $(READY)  ## try panels and training in JupyterLab, in a browser
	$(BIN)/python -m pytest tests/live

test-long: $(READY)  ## train 1,000 seeds of the lecture's recipe and 200 of the strong one (ten to twenty core-minutes)
	$(BIN)/python -m pytest -s tests/long/test_divergence.py

test-lowest:  ## run the tests with the lowest versions that pyproject.toml admits
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tests/long/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/$(PROGRAMS)/python -m pip install --quiet -c $(LOWEST)/constraints.txt -e ".[test,pages,sweep]"
	$(LOWEST)/$(PROGRAMS)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests

class: $(READY)  ## execute 01 and 03 in eight kernels at once, as a server for a class does (some minutes)
	$(BIN)/python -m pytest -s tests/long/test_class.py

# One row a notebook; its folder below FOLDER is the student. TIME_LIMIT: seconds an exercise may take.
FOLDER ?= submitted
CSV ?= grades.csv
TIME_LIMIT ?= 60
grade: $(READY)  ## judge the notebooks that a class handed in, FOLDER=submitted, and write CSV=grades.csv
	$(BIN)/python -m lecture_utils.exercises "$(FOLDER)" --csv "$(CSV)" --time-limit $(TIME_LIMIT) --jobs $(WORKERS)

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

data: $(READY)  ## make every file in data/ and figures/ again (resumable)
	$(BIN)/python -m lecture_utils.experiments.recordings
	$(BIN)/python -m lecture_utils.experiments.optimal
	$(BIN)/python -m lecture_utils.experiments.true_advantages
	$(BIN)/python -m lecture_utils.experiments.gradient_angle
	$(BIN)/python -m lecture_utils.experiments.one_batch
	$(BIN)/python -m lecture_utils.experiments.faulty_runs
	$(BIN)/python -m lecture_utils.experiments.std_zero
	$(BIN)/python -m lecture_utils.figures

data-passes: $(READY)  ## record the experiment of notebook 04 again (hours of processor time, resumable)
	$(BIN)/python -m lecture_utils.experiments.fair_experiment

data-details: $(READY)  ## record the experiments of notebook 05 again (an hour of processor time, resumable)
	$(BIN)/python -m lecture_utils.experiments.ladder
	$(BIN)/python -m lecture_utils.experiments.neighbours
	$(BIN)/python -m lecture_utils.experiments.probes
	$(BIN)/python -m lecture_utils.experiments.time_to_solve

data-language: $(READY)  ## record the experiments of notebook 07 again (ten minutes of processor time, resumable)
	$(BIN)/python -m lecture_utils.experiments.brackets

bench: $(READY)  ## time training, environments, notebooks and sweeps; tables, and build/benchmarks.json
	$(BIN)/python -m pytest tests/benchmarks

clean:  ## remove what was built (the environment too)
	rm -rf build jupyter_execute .venv $(LOWEST) *.egg-info

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,pages,sweep]"
	@touch $@
