"""What the launcher does to Hydra's loader: the jobs that a sweeper has checked are not composed once more."""

from __future__ import annotations

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from hmlpe.sweep.launcher import _compose_jobs_once


def test_each_job_is_composed_once_for_sweeper_and_launcher() -> None:
    calls: list[list[str]] = []

    class Loader(ConfigLoaderImpl):
        def __init__(self) -> None:
            """It needs nothing."""

        def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
            calls.append(sweep_overrides)
            return OmegaConf.create({"of": master_config.name, "words": sweep_overrides})

    _compose_jobs_once(Loader)
    _compose_jobs_once(Loader)  # of a second sweep in this process
    loader, one, other = Loader(), OmegaConf.create({"name": "one"}), OmegaConf.create({"name": "other"})
    checked = [loader.load_sweep_config(master_config=one, sweep_overrides=[word]) for word in ("seed=1", "seed=2")]
    launched = [loader.load_sweep_config(one, [word]) for word in ("seed=1", "seed=2")]
    assert launched == checked and [found.words for found in launched] == [["seed=1"], ["seed=2"]]
    assert calls == [["seed=1"], ["seed=2"]]
    assert loader.load_sweep_config(other, ["seed=1"]).of == "other"
    launched[0].words = ["changed"]
    assert loader.load_sweep_config(one, ["seed=1"]).words == ["seed=1"], "what a job has changed is its own"
