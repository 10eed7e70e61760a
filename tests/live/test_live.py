"""The notebooks in JupyterLab, driven by a browser: panels move, training shows its progress and can be stopped."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import browser
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
MINUTES = 60_000  # Playwright counts in milliseconds; the limits are for a busy machine
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # every cell stands in the page, and no dialogue asks for the kernel
    "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
}


def cleared(name, change=lambda notebook: None):
    """A notebook without outputs and execution counts, so that what is seen was computed now."""
    notebook = nbformat.read(next((ROOT / "notebooks").glob(f"{name}*.ipynb")), as_version=4)
    change(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


def long_training(notebook):
    """Keep the notebook up to its live training, which is made long, and a cell that looks at its log."""
    for i, cell in enumerate(notebook.cells):
        if found := re.search(r"^(\w+) = train\((?:.*?)episodes=(\d+)", cell.source, flags=re.M):
            cell.source = cell.source.replace(f"episodes={found[2]}", "episodes=3000")
            after = nbformat.v4.new_code_cell(f"print('the next cell sees', len({found[1]}) > 0)")
            notebook.cells = [*notebook.cells[: i + 1], after]
            return
    raise ValueError("the notebook has no cell with `... = train(..., episodes=...)`")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the notebooks."""
    home = tmp_path_factory.mktemp("lab")
    if browser.executable() is None:
        pytest.skip("no browser is installed")
    for folder in ("lecture_utils", "data", "figures"):
        shutil.copytree(ROOT / folder, home / "copy" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "copy" / "notebooks").mkdir()
    for name, change in {"01": lambda notebook: None, "03": long_training}.items():
        nbformat.write(cleared(name, change), home / "copy" / "notebooks" / f"{name}.ipynb")
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root"]
    command += ["--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={home / 'copy'}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    with (home / "log").open("w") as log:
        variables = {**os.environ, **{name: str(path) for name, path in places.items()}}
        server = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        try:
            wait_for_server(f"http://127.0.0.1:{port}/api", server, home / "log")
            yield f"http://127.0.0.1:{port}/lab/tree/notebooks"
        finally:
            server.terminate()
            server.wait(timeout=60)


def wait_for_server(address, server, log, seconds=180):
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5).read()
        except OSError:
            time.sleep(0.5)
    raise AssertionError("JupyterLab did not start:\n" + log.read_text()[-3000:])


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as opened:
        yield opened


def open_and_run(chromium, address):
    """Open a notebook and run all its cells; the page."""
    page, _ = browser.open_page(chromium, height=900)
    page.set_default_timeout(3 * MINUTES)
    page.goto(f"{address}?reset")  # else the notebook of the test before is opened again, and may lie on top
    ready = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    page.wait_for_function(ready, timeout=5 * MINUTES)
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    return page


def wait_until_run(page, minutes=8):
    """Wait until every code cell has its number; no output may be an error."""
    page.wait_for_function(
        r"""() => {
          const cells = [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")];
          const open = cells.filter(cell => cell.querySelector(".cm-content").textContent.trim()
            && !/\[\d+\]/.test(cell.querySelector(".jp-InputPrompt").textContent));
          const failed = document.querySelector("[data-mime-type='application/vnd.jupyter.error']");
          return cells.length && (!open.length || failed);
        }""",
        timeout=minutes * MINUTES,
    )
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts() == []


@pytest.mark.slow
def test_a_slider_of_01_moves_its_figure(lab, chromium):
    page = open_and_run(chromium, f"{lab}/01.ipynb")
    wait_until_run(page)
    handle = page.locator(".jp-OutputArea .noUi-handle").first
    panel = page.locator(".jp-OutputArea .widget-vbox", has=page.locator(".noUi-handle")).first
    curve, state = "[data-curve='unclipped']", ".panel-state"
    before, value = panel.locator(curve).get_attribute("d"), handle.get_attribute("aria-valuenow")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    moved = "([old, panel]) => panel.querySelector(\"[data-curve='unclipped']\").getAttribute('d') !== old"
    page.wait_for_function(moved, arg=[before, panel.element_handle()])
    assert handle.get_attribute("aria-valuenow") != value
    assert panel.locator(state).inner_text().startswith("A = ")
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    before = panel.locator(curve).get_attribute("d")
    page.mouse.move(box["x"] - 60, box["y"] + box["height"] / 2, steps=5)
    page.wait_for_function(moved, arg=[before, panel.element_handle()])  # while it is dragged
    page.mouse.up()
    page.context.close()


@pytest.mark.slow
def test_training_of_03_can_be_stopped(lab, chromium):
    page = open_and_run(chromium, f"{lab}/03.ipynb")
    bar = page.locator(".jp-OutputArea .widget-hbox", has=page.locator(".progress, progress, .widget-progress")).last
    failed = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    bar.or_(failed).first.wait_for(timeout=4 * MINUTES)
    assert failed.all_inner_texts() == []
    seen = {bar.inner_text()}
    for _ in range(200):
        seen.add(bar.inner_text())
        if len(seen) >= 4:
            break
        page.wait_for_timeout(250)
    assert len(seen) >= 4, f"the bar stands still: {seen}"
    page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:interrupt-kernel']").first.click()
    wait_until_run(page, minutes=1)
    assert page.get_by_text("the next cell sees True").count() == 1
    counted = [int(number) for number in re.findall(r"(\d+)/3000", bar.inner_text())]
    assert counted
    assert max(counted) < 3000
    page.context.close()


def test_the_progress_of_a_notebook_without_training_is_asked_for_in_vain():
    with pytest.raises(ValueError, match="train"):
        long_training(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("agent = 1")]))
