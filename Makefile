# Everything happens in .venv, made on first use from pyproject.toml and constraints.txt.
PYTHON ?= python3
PROGRAMS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(PROGRAMS)
LOWEST := .venv-lowest
READY := .venv/ready
# Tests at once; a worker takes a core and up to 2 GB.
WORKERS ?= 2

.PHONY: help lecture first-cells student instructor slides pdf test test-live test-long test-lowest mutants class grade lab data data-passes data-details data-cartpole data-language data-many bench clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

lecture: $(READY)  ## write the pages to build/, with the outputs that the notebooks hold
	$(BIN)/python -m sphinx -q -W --keep-going -b html notebooks build
	@echo "The lecture is in build/index.html: open it in a browser, no network needed."
	@$(BIN)/python notebooks/_repository.py say

first-cells: $(READY)  ## write the cell that installs the package into every notebook (pyproject.toml: repository)
	$(BIN)/python notebooks/_repository.py

student: $(READY)  ## write the notebooks as one hands them out to build/student/: no notes, answers, solutions
	$(BIN)/python notebooks/_editions.py student build/student

instructor: $(READY)  ## write the notebooks with notes for the instructor and solutions to build/instructor/
	$(BIN)/python notebooks/_editions.py instructor build/instructor

slides: $(READY)  ## write the slides to build/slides/, a file a deck
	$(BIN)/python notebooks/_slides.py build/slides
	@echo "The slides are in build/slides/: 75.html for 75 minutes, 50a.html and 50b.html for twice 50, 00.html for a notebook; S shows the notes."

# Kernels beside each other: a thread each, or they wait for one another.
test test-lowest: export OMP_NUM_THREADS = 1
test: $(READY)  ## run everything that continuous integration runs
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --nbval notebooks

pdf: lecture slides  ## print pages and decks with Chromium to build/pdf/
	$(BIN)/python notebooks/_pdf.py build

test-live: $(READY)  ## try panels and training in JupyterLab, in a browser
	$(BIN)/python -m pytest tests/live

test-long: $(READY)  ## train 1,000 seeds of the lecture's recipe and 200 of the strong one (ten to twenty core-minutes)
	$(BIN)/python -m pytest -s tests/long/test_divergence.py

mutants: $(READY)  ## plant 400 faults at random, one at a time, and list those that no test sees (an hour)
	$(BIN)/python tests/long/mutants.py --jobs $(WORKERS)

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

data-cartpole: $(READY)  ## record the experiments of notebook 06 again (minutes, resumable)
	$(BIN)/python -m lecture_utils.experiments.cartpole
	$(BIN)/python -m lecture_utils.experiments.mountain_car
	$(BIN)/python -m lecture_utils.experiments.acrobot

data-language: $(READY)  ## record the experiments of notebook 07 again (a quarter of an hour of processor time, resumable)
	$(BIN)/python -m lecture_utils.experiments.brackets

data-many: $(READY)  ## record 1,024 runs of each algorithm for notebook 04, where there is a CUDA device (minutes)
	$(BIN)/python -m lecture_utils.experiments.many_runs

bench: $(READY)  ## time training, environments, notebooks and sweeps; tables, and build/benchmarks.json
	$(BIN)/python -m pytest tests/benchmarks

clean:  ## remove what was built (the environment too)
	rm -rf build jupyter_execute .venv $(LOWEST) *.egg-info

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,pages,sweep]"
	@touch $@
