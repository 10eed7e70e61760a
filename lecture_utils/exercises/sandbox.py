"""Where students' code runs: without a network and without the instructor's files, as far as the system can do it.

Two ways are tried, each with a probe that must fail to read a file, to write one and to reach an open port: bubblewrap
(bwrap), and the namespaces of Linux by util-linux (unshare, setpriv). Elsewhere nothing is hidden.
"""

import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache")
SCRATCH_BYTES = 256 * 2**20  # what may be written, all of it to /tmp

# In namespaces of its own, as their root: a root directory with what is visible, read-only; then no rights at all.
ENTER = """
set -eu
root=$1; folder=$2; size=$3; shift 3
mount -t tmpfs -o "size=$size,mode=755" tmpfs "$root"
mkdir "$root/tmp" "$root/proc" "$root/dev"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")"; : > "$root$1"; fi
    mount --rbind "$1" "$root$1"
    mount -o remount,bind,ro,nosuid,nodev "$root$1"
    shift
done
shift
for device in null zero full random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc"
exec chroot "$root" setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \\
    sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""

PROBE = """
import os, socket, sys
hidden, port, shown = sys.argv[1:]
attempts = [lambda: open(hidden), lambda: open(shown, "a")]
attempts += [lambda: socket.create_connection(("127.0.0.1", int(port)), 2)]
for attempt in attempts:
    try:
        attempt()
    except OSError:
        continue
    sys.exit("open")
os.chdir("/tmp")
open("written", "w").close()
print("closed")
"""


@dataclasses.dataclass(frozen=True)
class Sandbox:
    """name: of what hides, "" where nothing is hidden. program: its path."""

    name: str = ""
    program: str = ""

    def command(self, command, scratch):
        """The command that runs `command` inside. scratch: an empty folder of its own."""
        visible = _visible()
        if self.name == "bubblewrap":
            binds = [word for path in visible for word in ("--ro-bind", path, path)]
            size = ["--size", str(SCRATCH_BYTES)] if _takes(self.program, "--size") else []
            return [self.program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
                    "--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/tmp", *binds, "--chdir", str(ROOT),
                    "--", *command]  # fmt: skip
        if self.name == "namespaces":
            return [self.program, "--user", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork",
                    "--kill-child", "sh", "-c", ENTER, "enter", str(scratch), str(ROOT), str(SCRATCH_BYTES), *visible,
                    "--", *command]  # fmt: skip
        return command

    def environment(self, scratch):
        """What a student's code sees of the environment: none of the instructor's variables."""
        home = "/tmp" if self.name else str(scratch)
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "PATHEXT") if name in os.environ}
        return {**kept, "HOME": home, "TMPDIR": home, "TEMP": home, "TMP": home, "USER": "student", "LANG": "C.UTF-8",
                "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg",
                "IPYTHONDIR": home, "MPLCONFIGDIR": home, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1"}  # fmt: skip


def find():
    """The first sandbox that holds what it promises on this machine, or one without a name that hides nothing."""
    for name, program in (("bubblewrap", shutil.which("bwrap")), ("namespaces", shutil.which("unshare"))):
        if program and sys.platform == "linux" and _holds(sandbox := Sandbox(name, program)):
            return sandbox
    return Sandbox()


def _visible():
    """The folders that Python, this project and the system's libraries need; those inside others are left out."""
    needed = {sys.prefix, sys.base_prefix, *(str(ROOT / part) for part in ("lecture_utils", "data", "notebooks"))}
    needed |= {os.path.realpath(path) for path in needed} | {path for path in SYSTEM if os.path.exists(path)}
    return sorted(x for x in needed if not any(x != y and x.startswith(y.rstrip("/") + "/") for y in needed))


def _takes(program, option):
    return option in subprocess.run([program, "--help"], capture_output=True, text=True).stdout


def _holds(sandbox):
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home()) as hidden, tempfile.TemporaryDirectory() as scratch:
        secret = pathlib.Path(hidden) / "secret"
        secret.write_text("secret", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as server:
            probe = [sys.executable, "-c", PROBE, str(secret), str(server.getsockname()[1]), __file__]
            try:
                done = subprocess.run(
                    sandbox.command(probe, scratch), env=sandbox.environment(scratch), stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, timeout=120,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                return False
    return done.stdout.strip() == "closed"
