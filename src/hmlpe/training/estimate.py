"""How long a sweep will take, said before it starts. Every program loads this module: heavy imports wait."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.bad_input import BAD_INPUT
from hmlpe.errors import UserError
from hmlpe.files import read_json
from hmlpe.training.devices import gpus, world_size
from hmlpe.training.stages import stages_of
from hmlpe.words import number

log = logging.getLogger(__name__)

STEPS = 2


class SweepEstimate(Callback):
    """Hydra callback: what a sweep would do, and how long it takes. (The isolated launcher says so itself.)

    It counts the runs and times a few steps of the first one. On sweep.dry_run it says how each run's folder stands,
    and ends the program before a launcher puts anything in a queue.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Say it. Finished runs are counted as work too, until their folders say otherwise."""
        if "Isolated" in str(config.hydra.launcher.get("_target_")):
            return
        if not str(config.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
            if config.sweep.dry_run:
                raise SystemExit(UserError("sweep.dry_run: what a search runs is known only as it goes on"))
            return
        runs = jobs(config)
        if config.sweep.dry_run:
            look_at(config.hydra.job.config_name, runs)
        stages = stages_of(config, runs[0])
        steps = sum(steps_of(stage) for stage in stages)
        seconds = steps * seconds_per_step(stages[0]) * len(runs)
        results = Path(config.hydra.sweep.dir).glob("*/result.json")
        finished = sum(read_json(path).get("status") == "finished" for path in results)
        log.info(
            "%s: %s of %s, one by one: about %s of training on this machine%s",
            config.study,
            number(len(runs), "run"),
            " + ".join(number(stage.epochs, "epoch") for stage in stages),
            number(max(1, round(seconds / 60)), "minute"),
            f", less what {number(finished, 'run that is there has', 'runs that are there have')} done"
            if finished
            else "",
        )
        if config.sweep.dry_run:
            raise SystemExit(0)


def look_at(program: str, runs: list[list[str]]) -> None:
    """Say how the folder of every run stands."""
    from hmlpe.training.run import look

    for overrides in runs:
        run = compose(program, overrides)
        try:
            state = look(run, Path(run.folder)).describe()
        except BAD_INPUT as error:
            state = " ".join(str(error).split())
        log.info("%s: %s", run.folder, state)


def steps_of(config: DictConfig) -> float:
    """Steps of one run, by the pack's people and the configured epochs."""
    import numpy as np

    from hmlpe.data.pack import open_pack
    from hmlpe.data.selection import set_names

    pack = open_pack(Path(config.data.pack), instantiate(config.skeleton))
    train = pack.people.set[pack.indices("train")]
    if config.data.train_sets is not None:
        train = train[np.isin(train, set_names(config.data.train_sets, "data.train_sets"))]
    people = round(len(train) * (1 - config.data.validation.fraction))
    return float(min(people, config.data.subset or people) * config.epochs / config.optim.batch_size)


def jobs(config: DictConfig) -> list[list[str]]:
    """The overrides of every run of the sweep: the sweeper's own parameters, then the command line's."""
    given = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*given, *config.hydra.overrides.task])
    return BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]


def seconds_per_step(config: DictConfig) -> float:
    """Time of a training step of the configured net, on noise, on the device that the run would use."""
    import torch

    from hmlpe.training.bench import bare
    from hmlpe.training.build import build_model, build_tasks
    from hmlpe.training.precision import resolve_precision

    before = torch.get_num_threads()
    torch.set_num_threads(config.trainer.threads or before)
    model = build_model(config, build_tasks(config))
    size, joints = int(config.size_px), len(config.skeleton.joints)
    image = torch.randint(256, (config.optim.batch_size // world_size(config), 3, size, size), dtype=torch.uint8)
    batch = {"image": image, "joints_px": torch.rand(len(image), joints, 2) * size}
    precision = resolve_precision(config.trainer.precision, config.trainer.accelerator)
    device = torch.device("cuda" if gpus(config.trainer.accelerator) else "cpu")
    taken = bare(model, batch, STEPS, precision, device)
    torch.set_num_threads(before)
    return taken / STEPS
