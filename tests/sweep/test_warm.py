"""A fork of the warm server ends as a process of its own: what the server holds stays, what it made itself goes."""

import subprocess
import sys
from pathlib import Path

FORK = """
import atexit, gc, multiprocessing, os, sys, tempfile
from pathlib import Path
from hmlpe.sweep.warm import detach_from_server
folder = Path(sys.argv[1])
kept = tempfile.TemporaryDirectory(dir=folder)       # as packages make them when they are loaded
named = tempfile.TemporaryDirectory(dir=folder)
dropped = [tempfile.TemporaryDirectory(dir=folder)]
atexit.register(named.cleanup)
atexit.register((folder / "server").touch)
usual = multiprocessing.get_context().get_start_method()
multiprocessing.set_start_method("forkserver", force=True)
if os.fork() == 0:
    detach_from_server()
    atexit.register((folder / "fork").touch)
    own = tempfile.TemporaryDirectory(dir=folder)
    dropped.clear()
    gc.collect()
    atexit._run_exitfuncs()
    os._exit(Path(own.name).exists() + 2 * (multiprocessing.get_start_method() != usual))
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
print(*(Path(one.name).exists() for one in (kept, named, *dropped)), (folder / "fork").exists())
"""


def test_a_forks_end_leaves_alone_what_the_server_holds(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout == "True True True True\n", done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "fork"] == ["server"]
