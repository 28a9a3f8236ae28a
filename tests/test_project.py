"""The project's own rules: imports run one way, a file is a concept, what is shipped and promised is there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "hmlpe"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(PYPROJECT)["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]
DEPENDENCIES = [
    *PROJECT["dependencies"],
    *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
]

# A module imports from its own level and from earlier ones. One line is one level.
LEVELS = [
    {"address", "allocator", "errors", "files", "lock", "csv_file", "skeleton", "geometry", "windows", "palette"}
    | {"web", "bad_input", "checked", "control_group", "file_kinds", "resample", "row_name", "settings", "spelling"}
    | {"words", "text_table"},
    {"runs"},
    {"detect"},
    {"data"},
    {"pictures"},
    {"network"},
    {"metrics"},
    {"tasks"},
    {"balance"},
    {"tracking"},
    {"training"},
    {"inside"},
    {"sweep"},
    {"report"},
    {"dashboard"},
    {"predict"},
    {"evaluate"},
    {"bench"},
    {"cli"},
    {"api"},
]
# A configuration as Hydra has it, which `hmlpe.settings` makes typed, is known to the programs' borders alone.
OF_CONFIGURATIONS = {"settings.py", "row_name.py", "api.py", "bad_input.py", "training/mirrors.py"}
OF_CONFIGURATIONS |= {f"sweep/{name}.py" for name in ("launcher", "guard", "jobs", "batch", "child")}
OF_HYDRA = {
    "settings.py": "makes objects",
    "bad_input.py": "its errors",
    "api.py": "composes, as the programs do",
    "training/trusted.py": "makes objects of a file's settings",
    "training/stages.py": "each stage of a chain is composed",
    "training/launch.py": "hands the logging on to the ranks",
    "training/mirrors.py": "a callback of a sweep",
    **dict.fromkeys(("sweep/guard.py", "sweep/launcher.py"), "its plugins"),
    **dict.fromkeys(("sweep/jobs.py", "sweep/batch.py", "sweep/child.py", "sweep/tries.py"), "its jobs"),
    "sweep/child.py": "its own state, carried into a job's process",
    "bench/in_a_row.py": "composes what it compares sweeps with",
    "bench/sweeps.py": "repeats the words of its own call",
    "bench/training.py": "as well",
}

# Modules that only one other of their folder imports, each with the reason why it is a file of its own.
OF_A_NEIGHBOUR = {
    "cli.help": "a page of its own kind, made of the comments of conf/",
    "dashboard.workspace": "loads wandb-workspaces, an extra",
    "data.sources.embedded.scene": "painting, where the source only draws lots",
    "data.split": "how no person validates what trained: looked up as such",
    "evaluate.cases": "what is scored; `run` says how",
    "evaluate.confidence": "a question of its own: does confidence rank errors?",
    "evaluate.plausible": "the mistakes of other people's files, which grow by themselves",
    "predict.video": "files, cameras and their clocks",
    "report.page.pictures": "drawings, where `build` puts a page together",
    "sweep.batch": "the launcher, which Hydra loads with every program, must be light",
    "sweep.schedule": "the one loop in which jobs start and end",
    "sweep.survey": "runs in a process of its own",
    "training.fit": "training and scoring; `run` is what surrounds them",
    "training.launch": "processes of a run over several devices",
    "training.logs": "where numbers go, and what of W&B's loss is made good",
}


def _modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _level(unit: str) -> int:
    """Level of a module or subpackage directly under hmlpe; the package's own __init__ comes before all."""
    if unit == "__init__":
        return -1
    found = [level for level, units in enumerate(LEVELS) if unit in units]
    assert found, f"hmlpe.{unit} has no place in LEVELS (tests/test_project.py): give it one"
    return found[0]


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and unit of every import from hmlpe in a module, those inside functions too."""
    package = ["hmlpe", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            # "from hmlpe import data" names a unit, "from hmlpe import __version__" the package
            names = [f"hmlpe.{alias.name}" for alias in node.names] if module == "hmlpe" else [module]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            unit = rest.split(".")[0]
            if top == "hmlpe" and ((SOURCE / unit).is_dir() or (SOURCE / f"{unit}.py").is_file()) and unit:
                yield node.lineno, unit


def test_imports_run_one_way() -> None:
    wrong = []
    for path in _modules():
        relative = path.relative_to(SOURCE)
        own = relative.parts[0].removesuffix(".py")
        for line, unit in _imported(path):
            if _level(unit) > _level(own):
                wrong.append(f"src/hmlpe/{relative}:{line} imports hmlpe.{unit}, which comes after {own}")
    assert not wrong, "\n".join(wrong)


def _names(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of every import from hmlpe."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def test_what_only_a_neighbour_uses_lives_with_it() -> None:
    """But for a few, with reasons. Who takes a name from a package that hands it on uses the module it is of."""
    named = {".".join(path.relative_to(ROOT / "src").with_suffix("").parts): path for path in _modules()}
    paths = {name.removesuffix(".__init__"): path for name, path in named.items()}
    packages = [name.removesuffix(".__init__") for name in named if name.endswith(".__init__")]
    handed_on = {(package, name): module for package in packages for module, name in _names(paths[package])}
    users: dict[str, set[str]] = {name: set() for name in paths}
    for user in set(paths) - set(packages):
        for module, name in _names(paths[user]):
            used = f"{module}.{name}" if f"{module}.{name}" in paths else handed_on.get((module, name), module)
            users.get(used, set()).add(user)
    configs = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "conf").rglob("*.yaml"))
    for target in re.findall(r"_target_: (hmlpe\.\S+)", configs):
        module, _, name = target.rpartition(".")
        users[handed_on.get((module, name), module)].add("conf")
    users["hmlpe.cli.interrupt"].add("cli")  # which does something with it, before its modules do
    found = set()
    for module in set(paths) - set(packages):
        match sorted(users[module] - {module}):
            case [user] if user in paths and paths[user].parent == paths[module].parent:
                found.add(module.removeprefix("hmlpe."))
    assert found == set(OF_A_NEIGHBOUR)
    assert len(found) <= 15


def test_no_modules_import_one_another_in_a_circle() -> None:
    """As they are loaded: imports inside functions, and those for type checkers, wait."""
    graph = {}
    for path in _modules():
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        graph[name] = set()
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:  # a package's name, or a module of it
                graph[name] |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
        graph[name] -= {name, name.partition(".")[0]}  # `import hmlpe` alone
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_no_base_name_recurs_often() -> None:
    names = [path.name for path in _modules() if path.name != "__init__.py"]
    assert {name: names.count(name) for name in names if names.count(name) > 3} == {}


@pytest.mark.parametrize(("package", "allowed"), [("omegaconf", OF_CONFIGURATIONS), ("hydra", set(OF_HYDRA))])
def test_settings_are_typed_below_the_programs(package: str, allowed: set[str]) -> None:
    knowing = set()
    for path in _modules():
        relative = path.relative_to(SOURCE)
        imports = re.search(rf"^\s*(from|import) {package}\b", path.read_text(encoding="utf-8"), re.MULTILINE)
        if imports and relative.parts[0] != "cli":
            knowing.add(relative.as_posix())
    assert knowing == allowed


def test_every_dependency_has_a_bound_and_a_reason() -> None:
    for dependency in DEPENDENCIES:
        (rest,) = re.findall(rf'^ *"{re.escape(dependency)}",(.*)$', PYPROJECT, re.MULTILINE)
        assert re.search("[<>=]", dependency), f"{dependency} has no bound"
        assert re.match(r" *# \w", rest), f"{dependency} has no comment that gives its reason"


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if not line.startswith("#"))
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    for dependency in DEPENDENCIES:
        assert re.split("[<>=]", dependency)[0] in pinned, f"{dependency} is not pinned: make lock"


def test_shapes_are_checked_in_this_run() -> None:
    """The hook of conftest.py is at work: a wrong shape raises, naming the function."""
    import numpy as np
    from jaxtyping import TypeCheckError

    from hmlpe.data.record import Person

    nan = float("nan")
    with pytest.raises(TypeCheckError, match="joints_px"):
        Person(
            "image", "where", "train", np.zeros((8, 3)), np.zeros(8, bool), np.zeros(4), nan, np.zeros((0, 4)), False
        )


def test_the_layers_are_those_of_the_architecture_page() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Layers\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")][1:]
    assert [{name.strip() for name in row.split(",")} for row in rows] == LEVELS


def test_the_version_is_that_of_the_release() -> None:
    import hmlpe

    assert hmlpe.__version__ == PROJECT["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## [{PROJECT['version']}]" in changelog
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


@pytest.mark.parametrize("script", SCRIPTS)
def test_console_script_helps(script: str, tmp_path: Path) -> None:
    """Its module exists, it is installed, and --help works outside the checkout."""
    path = SOURCE / (SCRIPTS[script].partition(":")[0].removeprefix("hmlpe.").replace(".", "/") + ".py")
    assert path.is_file(), f"{script}: there is no {path.relative_to(ROOT)}"
    installed = Path(sysconfig.get_path("scripts")) / script
    done = subprocess.run([installed, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not list(tmp_path.iterdir()), f"{script} --help leaves files"


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    """sdist and, out of it, the wheel: every module and config is in, and the configs are found from there."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("hmlpe-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "wheel")
    expected = {f"hmlpe/{path.relative_to(SOURCE).as_posix()}" for path in _modules()}
    expected |= {f"hmlpe/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    expected |= {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "hydra_plugins").rglob("*.py")}
    own = ("py.typed", "report/page/page.html.j2", "report/page/script.js", "web/style.css")
    own += ("inside/section.html.j2", "inside/inspection.html.j2")
    expected |= {f"hmlpe/{name}" for name in own}
    assert {"hmlpe/conf/train.yaml", "hydra_plugins/hmlpe_isolated_launcher/__init__.py"} <= expected
    assert expected <= names, f"not in the wheel: {sorted(expected - names)}"

    command = [sys.executable, "-m", "hmlpe.cli.train", "--cfg", "job"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "wheel")}  # before the editable install
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readme_promises_what_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = "\n".join("".join(found) for found in re.findall(r"^```.*?\n(.*?)^```|`([^`\n]+)`", readme, re.M | re.S))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    asked = set(re.findall(r"^[ $]*make ([a-z][a-z-]*)", code, re.MULTILINE))
    assert asked, "README.md shows no make command"
    assert asked <= targets, f"README.md: make has no target {sorted(asked - targets)}"
    scripts = set(re.findall(r"^[ $]*(hmlpe-[a-z-]+)", code, re.MULTILINE))
    assert scripts <= set(SCRIPTS), f"README.md: pyproject.toml has no script {sorted(scripts - set(SCRIPTS))}"
