"""Runs programs in forks of this process, which has loaded what takes them seconds; `programs.run` starts it.

Each line of stdin is a question in JSON, and each of stdout the answer to one: `start` a program (its process), or say
how a process ended, if it has (`poll`), or when it has (`wait`).
"""

import atexit
import fcntl
import gc
import json
import multiprocessing.util
import os
import runpy
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Sequence
from types import ModuleType

from hmlpe.allocator import keep_freed_memory

keep_freed_memory()  # before torch loads, as the programs do

import kept_configs  # noqa: E402
from hydra import compose, initialize_config_dir  # noqa: E402
from hydra.core.plugins import Plugins  # noqa: E402
from hydra.core.singleton import Singleton  # noqa: E402

import hmlpe.data.prepare  # noqa: E402
import hmlpe.evaluate.run  # noqa: E402
import hmlpe.metrics  # noqa: E402
import hmlpe.pictures  # noqa: E402
import hmlpe.report.page  # noqa: E402
import hmlpe.report.page.build as page  # noqa: E402
import hmlpe.training.run  # noqa: E402
from hmlpe.cli.command_line import CONFIGS, FileConfigSource, register_config_source  # noqa: E402
from hmlpe.sweep.warm import LAUNCHER_SIGNALS, end_with_parent  # noqa: E402
from hmlpe.training.provenance import code_digest  # noqa: E402

kept_configs.keep(str(CONFIGS))
register_config_source()  # as the programs do
code_digest()  # reads and parses half of the package
of_files = FileConfigSource("main", f"file://{CONFIGS}")
for path in CONFIGS.rglob("*.yaml"):
    of_files.load_config(path.relative_to(CONFIGS).with_suffix("").as_posix())  # parsed once
for words in ("train", "train network=slim", "train network=slim logger=csv", "prepare", "report", "evaluate"):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        compose(words.split()[0], words.split()[1:])  # Hydra's grammar and plugins are loaded, too
reader, writer = os.pipe()
if os.fork() == 0:  # bundling starts threads, which this process must not have when it forks
    os.close(reader)
    with open(writer, "w") as pipe:
        pipe.write(page.vega_script())
    os._exit(0)
os.close(writer)
with open(reader) as pipe:
    bundled = pipe.read()
os.wait()
hmlpe.report.page.vega_script = page.vega_script = lambda: bundled
gc.freeze()  # its forks need not look through all that for garbage, nor copy it


def program(module: str, words: list[str], folder: str, out: str, err: str, environment: dict[str, str]) -> int:
    """Be that program, or the code that follows `-c`; returns its exit code."""
    os.environ.clear()
    os.environ.update(environment)
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[1:1] = paths
    if any(os.path.isdir(os.path.join(path, "hydra_plugins")) for path in paths):  # Hydra is to look there, too
        Singleton._instances.pop(Plugins, None)
    tempfile.tempdir = None  # it may be another by the environment
    os.chdir(folder)
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    if "-m" in words:
        start_launchers_server_warm()
    try:
        if module == "-c":
            sys.modules["__main__"] = main = ModuleType("__main__")
            sys.argv = [module, *words[1:]]
            exec(words[0], main.__dict__)
        else:
            sys.argv = [module, *words]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        if leaving.code is None or isinstance(leaving.code, int):
            return leaving.code or 0
        print(leaving.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def start_launchers_server_warm() -> None:
    """Let a sweep's fork server be a fork of this process as it is now, and no interpreter that loads all once more."""
    spawn = multiprocessing.util.spawnv_passfds
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        end_with_parent()
        ours.close()
        become_server(theirs)
    theirs.close()

    def spawned(path: bytes, words: Sequence[str], descriptors: Sequence[int]) -> int:
        if "forkserver" not in str(words[-1]):  # another kind of server
            return spawn(path, words, descriptors)
        multiprocessing.util.spawnv_passfds = spawn  # should that one die
        message = json.dumps([words[-1], [*descriptors], dict(os.environ)])
        socket.send_fds(ours, [message.encode()], [*descriptors])
        return child

    multiprocessing.util.spawnv_passfds = spawned


def become_server(asked: socket.socket) -> None:
    """Wait for the code of multiprocessing's fork server, and be it."""
    message, received, _, _ = socket.recv_fds(asked, 2**20, 8)
    if not message:  # the program has ended without one
        os._exit(0)
    code, wanted, environment = json.loads(message)
    above = [fcntl.fcntl(one, fcntl.F_DUPFD, max(wanted) + 1) for one in received]
    for one, number in zip(above, wanted, strict=True):
        os.dup2(one, number)
    low = 3
    for number in sorted(wanted):
        os.closerange(low, number)
        low = number + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    signal.pthread_sigmask(signal.SIG_BLOCK, LAUNCHER_SIGNALS)  # as the launcher does for what it starts
    exec(code, {"__name__": "__main__"})
    os._exit(0)


for line in sys.stdin:
    task, *asked = json.loads(line)
    if task == "start":
        child = os.fork()
        if child == 0:
            code = program(*asked)
            atexit._run_exitfuncs()  # os._exit does not
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(child, flush=True)
    else:
        ended, status = os.waitpid(asked[0], os.WNOHANG if task == "poll" else 0)
        print(os.waitstatus_to_exitcode(status) if ended else "", flush=True)
