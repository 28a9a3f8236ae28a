"""Runs programs in forks of this process, which has loaded what takes them seconds; `programs.run` starts it.

Each line of stdin is one, in JSON: the module's name, its arguments, its folder, and a file each for what it prints to
stdout and to stderr. The answer is a line with its exit code.
"""

import atexit
import json
import os
import runpy
import sys
import traceback

from hmlpe.allocator import keep_pages

keep_pages()  # before torch loads, as the programs do

import hmlpe.metrics  # noqa: E402
import hmlpe.training.run  # noqa: E402, F401


def program(module: str, arguments: list[str], folder: str, out: str, err: str) -> int:
    """Be that program; returns its exit code."""
    os.chdir(folder)
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    sys.argv = [module, *arguments]
    try:
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


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = program(*json.loads(line))
        atexit._run_exitfuncs()  # os._exit does not
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
