"""What the launcher does to Hydra's loader: the jobs that a sweeper has checked are not composed once more."""

from __future__ import annotations

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hmlpe.sweep.launcher import Isolated


def test_each_job_is_composed_once_for_sweeper_and_launcher() -> None:
    calls: list[list[str]] = []

    class Loader(ConfigLoaderImpl):
        def __init__(self) -> None:
            """It needs nothing."""

        def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
            calls.append(sweep_overrides)
            return OmegaConf.create({"of": master_config.name, "words": sweep_overrides})

    loader, one, other = Loader(), OmegaConf.create({"name": "one"}), OmegaConf.create({"name": "other"})
    for _ in range(2):  # the second: of another sweep in this process
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        Isolated().setup(hydra_context=context, task_function=print, config=one)
    checked = [loader.load_sweep_config(master_config=one, sweep_overrides=[word]) for word in ("seed=1", "seed=2")]
    launched = [loader.load_sweep_config(one, [word]) for word in ("seed=1", "seed=2")]
    assert launched == checked and [found.words for found in launched] == [["seed=1"], ["seed=2"]]
    assert calls == [["seed=1"], ["seed=2"]]
    assert loader.load_sweep_config(other, ["seed=1"]).of == "other"
    launched[0].words = ["changed"]
    assert loader.load_sweep_config(one, ["seed=1"]).words == ["seed=1"], "what a job has changed is its own"
