"""Run the console scripts as Hydra apps over the packaged configurations, with bad input as one line on stderr."""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hmlpe.bad_input import BAD_INPUT
from hmlpe.cli.command_line import CONFIGS, register_config_source, to_hydra_arguments
from hmlpe.cli.help import help_of, top_level_names
from hmlpe.cli.interrupt import INTERRUPTED, interrupted, record_interrupts
from hmlpe.errors import UserError, install_command

EXTRAS = {"hydra_submitit_launcher": "slurm", "hydra_ray_launcher": "ray", "hydra_optuna_sweeper": "optuna"}
CONFIGS_OF = {
    "hydra/sweeper/optuna": "hydra_optuna_sweeper",
    "hydra/launcher/submitit_local": "hydra_submitit_launcher",
}
LAUNCHERS = ("hydra_submitit_launcher", "hydra_ray_launcher")
FOLDERS = {
    "paths.data": "a folder",
    "paths.outputs": "a folder",
    "study": "the name of a folder below paths.outputs",
    "out": "a folder",
}
LINES = 3  # of a message; submitit appends a whole log
BAD_DISK = {
    errno.ENOSPC: "make room there; rerun the same command to resume",
    errno.EDQUOT: "make room there; rerun the same command to resume",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that you may read and write",
    errno.EEXIST: "choose another place: a file is already there",
    errno.ENOTDIR: "choose another place: a part of this path is a file",
    errno.EISDIR: "choose another place: this is a folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "choose another place: links form a loop",
}
__all__ = ["CONFIGS", "run_app"]

# A launcher's config of ours has the name of its plugin's, against which Hydra checks it: that is meant.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def run_app(
    config_name: str,
    program: Callable[[DictConfig], object],
    flags: Mapping[str, str] | None = None,
    allowed: Collection[str] | None = None,
) -> None:
    """Run `program` as a Hydra app over the packaged configurations.

    Bad input, and a disk that is full or that we may not write to, end the process with exit code 2 and one line on
    stderr; Ctrl-C ends it with 130; a bug keeps its traceback.

    Args:
        config_name: name of the program's configuration, e.g. fit_box.
        program: called with the composed configuration.
        flags: flags of the program, each with the override that it stands for, e.g. --check: prepare.check=true.
        allowed: top-level settings that the program reads; overrides of others, except `paths` and `experiment`, are
            refused. It is for programs whose configuration also holds the settings of a run, so that an experiment can
            be named. None: none is refused.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_of(config_name))
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we make the line
    job = partial(_call_program, program, allowed)
    _refuse_misplaced_folders(sys.argv[1:])
    _warn_of_repeated_settings(sys.argv[1:])
    _warn_of_additions(sys.argv[1:], config_name)
    sys.argv[1:] = to_hydra_arguments([(flags or {}).get(word, word) for word in sys.argv[1:]])
    register_config_source()
    record_interrupts()
    try:
        app = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(job)
        _run(app, config_name, allowed)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        if interrupted():  # whatever became of it
            sys.exit(INTERRUPTED)


def _refuse_misplaced_folders(words: Sequence[str]) -> None:
    """End the process with one line if a folder's setting is empty or `study` has a `..`; Hydra makes folders early."""
    for word in words:
        key, equals, value = word.lstrip("+").partition("=")
        value = value.strip("'\" ")
        if equals and not value and key in FOLDERS:
            _print_error_and_exit(UserError(f"{key}: is empty; it must be {FOLDERS[key]}"))
        if key == "study" and ".." in Path(value).parts:
            _print_error_and_exit(UserError(f"study: must be {FOLDERS['study']}, got {value!r}"))


def _warn_of_repeated_settings(words: Sequence[str]) -> None:
    """Print a line for each setting that the command line holds more than once, as Hydra says nothing of it."""
    said: dict[str, list[str]] = {}
    for word in words:
        key, equals, _ = word.partition("=")
        if equals and not key.startswith("-"):
            said.setdefault(key.lstrip("+"), []).append(word)
    for key, found in said.items():
        if len(found) > 1:
            swept = {"-m", "--multirun"} & set(words)
            last = "" if swept or found[-1].startswith("+") else f"; the last counts: {found[-1]}"
            print(f"warning: {key}: is given {len(found)} times{last}", file=sys.stderr)


def _warn_of_additions(words: Sequence[str], config_name: str) -> None:
    """Print a line for each top-level setting that is added (`+name=value`) and that is spelt like one of the program.

    A configuration of the user's own may refer to the added setting, so it is not refused.
    """
    own = set(top_level_names(config_name))
    for word in words:
        key, equals, _ = word.partition("=")
        name = key.lstrip("+")
        added = key.startswith("+") and equals and not {".", "/", "@"} & set(name) and name not in own
        if added and (near := _did_you_mean(name, own)):
            program = f"hmlpe-{config_name.replace('_', '-')}"
            print(f"warning: {key}: adds a setting that {program} does not have{near}", file=sys.stderr)


def _did_you_mean(name: str, known: Collection[str]) -> str:
    """Return "; did you mean …?" with the known names that are spelt like `name`, or an empty text."""
    place, dot, leaf = name.rpartition(".")
    beside = sorted(one.rpartition(".")[2] for one in known if one.rpartition(".")[0] == place)
    near = [f"{place}{dot}{one}" for one in difflib.get_close_matches(leaf, beside, n=2)]
    near = near if beside else difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.75)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _run(program: Callable[[], object], config_name: str, allowed: Collection[str] | None) -> None:
    """Call the Hydra app of a program, and end the process as `_end_with_error` says on an error."""
    try:
        program()
    except SystemExit as leaving:
        if isinstance(leaving.code, Exception):  # of a callback: Hydra swallows its errors
            _end_with_error(leaving.code, config_name, allowed)
        raise
    except Exception as error:
        _end_with_error(error, config_name, allowed)


def _call_program(
    program: Callable[[DictConfig], object], allowed: Collection[str] | None, config: DictConfig
) -> object:
    """Call the program with the configuration; in a single run, bad input ends the process with one line."""
    try:
        if allowed is not None:
            _refuse_foreign_overrides(allowed)
        return program(config)
    except (*BAD_INPUT, OSError) as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # this job fails, the others go on
            raise
        _remove_if_empty(Path(HydraConfig.get().runtime.output_dir))
        _print_error_and_exit(error)  # before Hydra adds lines of its own


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder that Hydra made for a run which was then refused, and its study's, if nothing is in them."""
    if folder != Path.cwd():
        with suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()


def _refuse_foreign_overrides(allowed: Collection[str]) -> None:
    """Raise UserError if an override is of a setting that the program does not read."""
    known = {*allowed, "paths", "experiment"}
    for word in HydraConfig.get().overrides.task:
        name = word.lstrip("+~").partition("=")[0]
        place = name.rpartition("@")[2]  # of GROUP@PLACE
        if re.split("[./]", place)[0] not in known:
            program = HydraConfig.get().job.name
            raise UserError(
                f"{name}: {program} has no such setting; it has {', '.join(sorted(known))} ({program} --help)"
            )


def _end_with_error(error: Exception, config_name: str, allowed: Collection[str] | None) -> NoReturn:
    """End the process: with one line on stderr if the user can correct the error, else with its traceback."""
    line = missing_extra_message(error) or _unreadable_word_message(error)
    line = line or _unknown_setting_message(error, config_name, allowed)
    if line is None and isinstance(error, (*BAD_INPUT, OSError)):
        _print_error_and_exit(error)
    line = line or launcher_error_message(error) or _bad_group_value_message(error)
    if line is None:
        raise error
    _print_error_and_exit(UserError(line))


def _unreadable_word_message(error: Exception) -> str | None:
    """Return the error message if Hydra cannot parse an override, or takes it for several values; else None."""
    said = str(error)
    if several := re.match(r"Ambiguous value for argument '(.+)'\n", said):
        name, _, values = several[1].partition("=")
        return (
            f"{several[1]}: several values: -m runs them one by one; a list is {name}=[{values}], a text {name}='\"…\"'"
        )
    wrong = re.match(r"(?:Error parsing override '|LexerNoViableAltException: )(.+?)'?\n", said)
    word = error.override if isinstance(error, OverrideParseException) else wrong[1] if wrong else None
    if word is None:
        return None
    readable = re.match(r"[\w.@/+~-]+=", word)
    why = "quote what is in it: NAME='\"VALUE\"'" if readable else "a setting is given as NAME=VALUE"
    return f"{word}: cannot be read; {why}"


def _unknown_setting_message(error: Exception, config_name: str, allowed: Collection[str] | None) -> str | None:
    """Return the error message if an override names a setting or a group's option that does not exist; else None."""
    said, program = str(error), f"hmlpe-{config_name.replace('_', '-')}"
    if setting := re.match(r"Could not override '([^']+)'", said):
        name = setting[1]
        hint = next((line for line in said.splitlines() if line.startswith("Did you mean")), "")
        adding = f"; +{name}=VALUE adds it" if name.startswith(("tasks.", "metrics.", "row.")) else ""
        found = (
            _did_you_mean(name, _existing_setting_names(config_name, name, allowed))
            or f"; {hint or f'list them all: {program} --cfg job'}"
        )
        return f"{name}: {program} has no such setting{found}{adding}"
    if choice := re.search(r"Could not (?:find|load) '([^']+)'", said):
        group, _, name = choice[1].rpartition("/")
        while group and not (CONFIGS / group).is_dir():
            group, _, before = group.rpartition("/")
            name = f"{before}/{name}"
        listed = re.search(r"Available options in '[^']*':\n((?:\t.*\n)+)", said)
        there = listed[1].split() if listed else sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        owner = re.match(r"In '(\w+/[^']+)'", said)  # a file that names the other
        where = f"{owner[1]}.yaml: " if owner else ""
        return f"{where}{group}={name}: there is no such configuration; there are {', '.join(there) or 'none'}"
    return None


def _existing_setting_names(config_name: str, refused: str, allowed: Collection[str] | None) -> set[str]:
    """Return the names of all settings in the program's configuration, composed with all overrides but the refused one.

    Args:
        config_name: name of the program's configuration.
        refused: the name in the refused override; no setting has that name.
        allowed: see `run_app`.
    """
    words = [word for word in sys.argv[1:] if "=" in word and not word.startswith("-")]
    words = [word for word in words if word.lstrip("+~").partition("=")[0] != refused and "," not in word]
    GlobalHydra.instance().clear()
    for chosen in (words, []):  # without them, if they need the user's own folder of configurations
        try:
            with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
                config = hydra.compose(config_name, chosen)
            break
        except BAD_INPUT:
            continue
    else:
        return set()
    names = set(top_level_names(config_name))
    branches: list[tuple[str, Any]] = [("", OmegaConf.to_container(config, resolve=False))]
    for place, branch in branches:  # the list grows
        for key, value in branch.items():
            if isinstance(value, dict):
                branches.append((f"{place}{key}.", value))
            else:
                names.add(f"{place}{key}")
    return {name for name in names if allowed is None or name.partition(".")[0] in {*allowed, "paths", "experiment"}}


def _bad_group_value_message(error: Exception) -> str | None:
    """Return the error message if an override sets a config group to anything but the name of one option; else None.

    Hydra would print a traceback there.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not (frames and isinstance(error, TypeError | ValueError) and "hydra" in Path(frames[-1].filename).parts):
        return None
    if not any(frame.name == "_load_configuration_impl" for frame in frames):
        return None
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    odd = next((word for word in sys.argv[1:] if word.partition("=")[0] in groups and not _is_single_name(word)), "")
    return f"{odd or 'the command line'}: choose one of a group of settings by its name: GROUP=NAME"


def _is_single_name(word: str) -> bool:
    """Return whether the value of an override `key=value` is one name: no list, no mapping, and not null."""
    return re.fullmatch(r"[^\[\]{},]+", word.partition("=")[2]) is not None and not word.endswith("=null")


def missing_extra_message(error: Exception) -> str | None:
    """Return the error message if a Hydra plugin that one of hmlpe's extras installs is missing; else None."""
    said = str(error)
    unknown = said if said.startswith("Unknown plugin class") else ""
    plugins = [plugin for plugin in EXTRAS if f"hydra_plugins.{plugin}." in unknown]
    if isinstance(error, MissingConfigException):
        plugins += [plugin for config, plugin in CONFIGS_OF.items() if f"'{config}'" in said]
    return next((f"{one} is not installed; install the extra: {install_command(EXTRAS[one])}" for one in plugins), None)


def launcher_error_message(error: Exception) -> str | None:
    """Return the error message if the launcher itself (submitit, Ray) failed; None for any other error.

    Errors of the launched runs do not come here: the launcher returns them as results.
    """
    said = str(error)
    modules = {str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)}
    for plugin in LAUNCHERS:
        if any(module.startswith(f"hydra_plugins.{plugin}.") for module in modules):
            lines = [line.strip() for line in said.splitlines() if line.strip()][:LINES]
            return f"hydra/launcher, by {plugin}: {'; '.join(lines) or type(error).__name__}"
    return None


def _print_error_and_exit(error: Exception) -> NoReturn:
    """Print the error as one line on stderr and exit with 2; raise it if it is an OSError that is a bug."""
    cause: object = error.__cause__ if isinstance(error.__cause__, UserError) else error
    if isinstance(error, OSError) and not isinstance(error, BAD_INPUT):  # a missing config is both
        last = traceback.extract_tb(error.__traceback__)[-1].name
        nowhere = error.errno == errno.ENOENT and last in ("mkdir", "makedirs")  # as in /proc
        mend = "choose another place: no folder can be made there" if nowhere else BAD_DISK.get(error.errno or 0)
        if mend is None:
            raise error
        cause = f"{error.filename or 'output'}: {error.strerror}; {mend}"
    print("error:", "; ".join(part.strip() for part in str(cause).splitlines() if part.strip()), file=sys.stderr)
    sys.exit(2)
