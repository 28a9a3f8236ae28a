"""What stands where settings belong, and is none: one line says where, what it must be, and what it is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydantic import BaseModel, Field, ValidationError

from hmlpe.checked import first_problem
from hmlpe.cli.app import CONFIGS
from hmlpe.cli.bench import BenchSettings
from hmlpe.errors import UserError
from hmlpe.evaluate.settings import EvaluateSettings
from hmlpe.settings import Settings, build_component, to_plain_containers
from hmlpe.training.settings import ModelSettings, TrainSettings

PROGRAMS: dict[str, tuple[type[TrainSettings], list[str]]] = {
    "train": (TrainSettings, []),
    "evaluate": (EvaluateSettings, ["checkpoint=x", "data=all", "data.root=x"]),
}


@pytest.fixture(scope="module")
def trees() -> dict[str, dict[str, Any]]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return {name: to_plain_containers(compose(name, words)) for name, (_, words) in PROGRAMS.items()}


def nodes(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where settings hold settings."""
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield (*path, name)
                yield from nodes(kind, (*path, name))


def changed(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    found = copy.deepcopy(tree)
    node = found
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return found


NODES = [(program, path) for program, (model, _) in PROGRAMS.items() for path in nodes(model)]
COMPONENTS = ["skeleton", "windows", "augment", "network", "balance", "optim.init", "optim.optimizer", "optim.groups"]
COMPONENTS += ["tasks.regression", "metrics.regression.pdj", "data.source", "data.boxes"]


def test_the_nodes_are_found() -> None:
    found = {".".join(path) for _, path in NODES}
    assert {"row", "optim", "trainer", "logger", "sweep", "data", "data.validation", "bootstrap", "confidence"} == found


@pytest.mark.parametrize("value", [None, 3, [1], "no", True])
@pytest.mark.parametrize(("program", "path"), NODES)
def test_what_stands_where_settings_belong(
    trees: dict[str, Any], program: str, path: tuple[str, ...], value: object
) -> None:
    model, name = PROGRAMS[program][0], ".".join(path)
    tree = changed(trees[program], path, value)
    if name == "confidence" and value is None:
        assert EvaluateSettings.from_config(tree).confidence is None
        return
    with pytest.raises(UserError) as raised:
        model.from_config(tree)
    line = str(raised.value)
    assert line.startswith(f"{name}: must be settings (") and line.endswith(f"got {value!r}") and "\n" not in line


@pytest.mark.parametrize("value", [3, [1], "no", True, {}, {"_target_": None}])
@pytest.mark.parametrize("name", COMPONENTS)
def test_what_stands_where_an_object_is_described(trees: dict[str, Any], name: str, value: object) -> None:
    with pytest.raises(UserError) as raised:
        TrainSettings.from_config(changed(trees["train"], tuple(name.split(".")), value))
    line = str(raised.value)
    assert line.startswith(f"{name}: must be settings of an object, with its _target_") and line.endswith(
        f", got {value!r}"
    )


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("row.weights", None, "row.weights: must be weights by task name, got None"),
        ("tasks", None, "tasks: must be a mapping, got None"),
        ("tasks", [1], "tasks: must be a mapping, got [1]"),
        ("metrics", 3, "metrics: must be a mapping, got 3"),
        ("seed", True, "seed: must be a whole number from 0 to 4294967295, got True"),
        ("seed", 1.5, "seed: must be a whole number from 0 to 4294967295, got 1.5"),
        ("epochs", 0, "epochs: must be a whole number of at least 1, got 0"),
        ("data.validation.fraction", 1, "data.validation.fraction: must be a number between 0 and 1, got 1"),
        ("data.near_duplicates", 64, "data.near_duplicates: must be a whole number from 0 to 63, or null, got 64"),
        ("data.subset", 0, "data.subset: must be a whole number of at least 1, or null, got 0"),
        ("data.balanced", 1, "data.balanced: must be true or false, got 1"),
        ("data.train_sets", 5, "data.train_sets: must be a list of sets, e.g. [flic,buffy], or null, got 5"),
        ("data.train_sets", [5], "data.train_sets: must be a list of sets, e.g. [flic,buffy], or null, got [5]"),
        ("data.name", "???", "data.name: is not given; it must be a name"),
        ("trainer.devices", "all", "trainer.devices: must be a whole number of at least 1, or auto, got 'all'"),
        ("trainer.devics", 2, "trainer.devics: there is no such setting; there are accelerator, devices, precision, "),
        ("trainer.accelerator", None, "trainer.accelerator: must be one of auto, cpu, gpu, cuda, mps, got None"),
        ("optim.gradient_clip", "a", "optim.gradient_clip: must be a number of at least 0, or null, got 'a'"),
        ("init_from", 5, "init_from: must be a text, or null, got 5; quote it if it is a number"),
        ("init_from", "", "init_from: must be a text, or null, got ''"),
        ("heads", None, "heads: must be one of keep, renew, got None"),
        ("varies", ["seed"], "varies: must be a list of some of init_from, heads, epochs, got ['seed']"),
        ("varies", "heads", "varies: must be a list of some of init_from, heads, epochs, got 'heads'"),
        ("stages", "pretrain", "stages: must be a list of experiments, or null, got 'pretrain'"),
        ("logger.name", "tensorboard", "logger.name: must be one of csv, wandb, got 'tensorboard'"),
    ],
)
def test_one_line_names_the_setting_what_it_must_be_and_what_it_is(
    trees: dict[str, Any], name: str, value: object, line: str
) -> None:
    with pytest.raises(UserError) as raised:
        TrainSettings.from_config(changed(trees["train"], tuple(name.split(".")), value))
    assert str(raised.value).startswith(line) and "\n" not in str(raised.value)


def test_a_missing_setting_is_named(trees: dict[str, Any]) -> None:
    tree = copy.deepcopy(trees["train"])
    del tree["trainer"]["devices"]
    with pytest.raises(
        UserError, match=r"^trainer\.devices: is not given; it must be a whole number of at least 1, or"
    ):
        TrainSettings.from_config(tree)


CLOSED = [("train", ("trainer",)), ("train", ("logger",)), ("train", ("sweep",)), ("train", ("data", "validation"))]


@pytest.mark.parametrize(("program", "path"), [*CLOSED, ("evaluate", ("confidence",))])
def test_an_unknown_setting_is_named(trees: dict[str, Any], program: str, path: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as raised:
        PROGRAMS[program][0].from_config(changed(trees[program], (*path, "foo"), 1))
    known = trees[program]
    for name in path:
        known = known[name]
    line = str(raised.value)
    assert line.startswith(f"{'.'.join(path)}.foo: there is no such setting; there are ")
    assert set(line.rpartition("there are ")[2].split(", ")) == set(known)


def test_the_closed_nodes_are_these() -> None:
    def closed(model: type[BaseModel], path: tuple[str, ...]) -> bool:
        kinds = get_args(field := model.model_fields[path[0]].annotation) or (field,)
        (inner,) = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        return closed(inner, path[1:]) if path[1:] else inner.model_config.get("extra") == "forbid"

    found = {path for program, path in NODES if closed(PROGRAMS[program][0], path)}
    assert found == {*(path for _, path in CLOSED), ("confidence",)}


class Written(Settings, extra="forbid"):
    """With a field that is written otherwise than it is called, as `schema` is pydantic's own."""

    schema_: int = Field(alias="schema")


def test_fields_are_called_as_they_are_written() -> None:
    for value, in_settings, in_file in (
        ({"schema": "a"}, "x.schema: must be a whole number, got 'a'", "field schema is 'a', not a whole number"),
        ({}, "x.schema: is not given; it must be a whole number", "field schema is missing"),
        ({"schema": 1, "foo": 2}, "x.foo: there is no such setting; there are schema",
         "field foo is unknown; there are schema"),
    ):  # fmt: skip
        with pytest.raises(UserError) as raised:
            Written.from_config(value, "x")
        assert str(raised.value) == in_settings
        with pytest.raises(ValidationError) as refused:
            Written.model_validate(value)
        assert first_problem(refused.value, Written, value).message_for_file() == in_file


@pytest.mark.parametrize("name", ["epochs", "select", "study", "fit", "data.subset", "optim.scheduler", "row.weights"])
def test_what_is_left_open_is_not_given(trees: dict[str, Any], name: str) -> None:
    with pytest.raises(UserError, match=rf"^{name}: is not given; it must be [^\n]*$"):
        TrainSettings.from_config(changed(trees["train"], tuple(name.split(".")), "???"))


def test_what_others_are_made_of_is_named_if_it_is_not_given() -> None:
    config = OmegaConf.create({"data": {"name": "???", "pack": "packs/${data.name}"}})
    with pytest.raises(UserError, match=r"^data\.name: is not given, but other settings depend on it$"):
        to_plain_containers(config)


def test_an_evaluation_needs_a_protocol(trees: dict[str, Any]) -> None:
    for tree in (trees["evaluate"] | {"protocol": {}}, {k: v for k, v in trees["evaluate"].items() if k != "protocol"}):
        with pytest.raises(UserError, match=r"^protocol: is empty; name at least one, e\.g\. protocol=\[pcp_strict"):
            EvaluateSettings.from_config(tree)


def test_valid_values_that_look_odd(trees: dict[str, Any]) -> None:
    for name, value in (("trainer.log_every_n_steps", 0), ("stages", [1]), ("row.name", 7)):
        TrainSettings.from_config(changed(trees["train"], tuple(name.split(".")), value))
    optim = {key: trees["train"]["optim"][key] for key in ("init", "optimizer", "groups", "scheduler")}
    ModelSettings.from_config(trees["train"] | {"optim": optim})  # all that a network alone needs


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("optim.init.foo", "optim.init.foo: there is no such setting; there are network, last"),
        ("optim.groups.nope", "optim.groups.nope: there is no such setting; there are network, lr, bias_lr, "),
        ("optim.optimizer.foo", "optim.optimizer.foo: there is no such setting; there are params, lr, "),
        ("optim.scheduler.foo", "optim.scheduler.foo: there is no such setting; there are optimizer, steps"),
        ("network.head.foo", "network.head.foo: there is no such setting; there are inputs, outputs, hidden, "),
        ("network.trunk.foo", "network.trunk.foo: there is no such setting; there are stages, pool, norm"),
    ],
)
def test_an_unknown_setting_of_an_object_is_named(trees: dict[str, Any], name: str, line: str) -> None:
    component, _, _ = name.rpartition(".")
    top = component if component.startswith("optim") else "network"
    tree = changed(trees["train"], tuple(name.split(".")), 3)
    for part in top.split("."):
        tree = tree[part]
    with pytest.raises(UserError) as raised:
        build_component(top, tree)
    assert str(raised.value).startswith(line) and "\n" not in str(raised.value)


def test_what_a_partial_components_call_refuses_is_named(trees: dict[str, Any]) -> None:
    optim = trees["train"]["optim"]
    step = build_component("optim.optimizer", {**optim["optimizer"], "lr": -1.0})
    with pytest.raises(UserError, match=r"^optim\.optimizer: Invalid learning rate: -1\.0$"):
        step([torch.nn.Parameter(torch.zeros(1))])
    groups = build_component("optim.groups", {key: value for key, value in optim["groups"].items() if key != "lr"})
    with pytest.raises(UserError, match=r"^optim\.groups: [^\n]*missing [^\n]*'lr'$"):
        groups(torch.nn.Linear(1, 1))


def test_what_a_benchmark_cannot_do_is_refused() -> None:
    own = {"steps": 12, "epochs": 3, "rounds": 3, "out": None, "sweep": {"jobs": 0, "seconds": 60}}
    BenchSettings.from_config(own, "bench")
    for name, value in (
        ("steps", 0),
        ("epochs", 0),
        ("rounds", 0),
        ("sweep.jobs", -1),
        ("sweep.seconds", 0),
        ("foo", 1),
    ):
        with pytest.raises(UserError, match=f"^bench.{name}: "):
            BenchSettings.from_config(changed(own, tuple(name.split(".")), value), "bench")


def test_of_a_part_of_the_settings_alone() -> None:
    class Part(Settings, extra="forbid"):
        steps: int

    for value, line in (
        ({"steps": "a"}, "bench.steps: must be a whole number, got 'a'"),
        (None, "bench: must be sett"),
    ):
        with pytest.raises(UserError, match=f"^{line}"):
            Part.from_config(value, "bench")


def test_settings_keep_their_tree_and_travel_between_processes(trees: dict[str, Any]) -> None:
    own = trees["train"] | {"mine": {"note": 3}}
    settings = TrainSettings.from_config(own)
    assert settings.tree == own
    there = pickle.loads(pickle.dumps(settings))
    assert there == settings and there.tree == own and there.row.name == settings.row.name
    there.tree["row"]["name"] = "other"
    assert there.tree == own, "it is a copy"
    with pytest.raises(AttributeError, match="RowSettings: a part has no tree of its own"):
        _ = settings.row.tree
