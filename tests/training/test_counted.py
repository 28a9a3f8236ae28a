"""People of whom nothing is known: they are in no mean, wherever one is taken; and nothing is learned of nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.pack import Pack, open_pack
from hmlpe.errors import UserError
from hmlpe.report import collect_runs, render_markdown, summarise_runs
from hmlpe.report.statistics.differences import scores_of
from hmlpe.runs.people import read_people, write_people
from hmlpe.skeleton import Skeleton
from hmlpe.training.build import build_data, build_model, build_tasks, mean_pose_metrics, set_mean_image_and_biases
from hmlpe.training.described import count_labelled_people, logged_metric_infos
from hmlpe.training.fit import PersonCollector, build_people, check_finite, evaluate_split, finite_or_none
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.run import run
from hmlpe.training.settings import TrainSettings

from ..programs import TINY, finish, of_packs

NAN = float("nan")
TASKS = ("regression", "detection")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("counted")
    words = [f"paths.data={folder}", "logger=csv", "row=det_1", *TINY]
    finish("prepare", *of_packs(*words), "prepare.sheet=0")
    return words


def settings_of(words: list[str], *more: str) -> TrainSettings:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return TrainSettings.from_config(compose("train", overrides=[*words, *more]))


def built(settings: TrainSettings) -> tuple[PoseDataModule, MultiTaskPose]:
    data, model = build_data(settings), build_model(settings, build_tasks(settings))
    set_mean_image_and_biases(model, data, mean_outputs=True)
    return data, model


def forget(data: PoseDataModule, split: str, which: slice) -> None:
    """Nothing is known of these people any more."""
    people = data.plain[split]
    people.labels.joints_px[people.rows[which]] = NAN


def measured(settings: TrainSettings, data: PoseDataModule, model: MultiTaskPose, folder: Path) -> dict[str, Any]:
    """The test people's numbers wherever they come from: a mean over batches, the mean pose, people's own file."""
    each = PersonCollector()
    trainer = L.Trainer(
        accelerator="cpu", logger=False, callbacks=[each], enable_progress_bar=False, enable_model_summary=False
    )
    found = {
        "network": evaluate_split(trainer, model, data, "test"),
        "validation": evaluate_split(trainer, model, data, "val"),
    }
    found["mean pose"] = finite_or_none(mean_pose_metrics(settings, model, data))
    folder.mkdir()
    write_people(folder / "best.npz", build_people(each.collected, model.tasks.values(), data.pack.people))
    people = read_people(folder / "best.npz")
    scores = scores_of(
        people, {name: i.model_copy(update={"shown": True}) for name, i in logged_metric_infos(model).items()}
    )
    found["report"] = finite_or_none(
        {name: score.values(np.ones((1, len(people))))[0] for name, score in scores.items()}
    )
    return found | {"people": people.arrays}


@pytest.mark.slow  # two whole runs
def test_people_of_whom_nothing_is_known_change_no_number(words: list[str], tmp_path: Path) -> None:
    """The numbers over twelve people, of six of whom nothing is known, are those over the six others."""
    settings = settings_of(words)
    data, model = built(settings)
    with torch.no_grad():
        model.network.head("regression").output_layer.weight.normal_(0, 0.5)  # errors that differ
    for split in ("test", "val"):
        forget(data, split, slice(1, None, 2))
    some = measured(settings, data, model, tmp_path / "some")
    for split in ("test", "val"):
        data.plain[split].rows = data.plain[split].rows[::2]
    known = measured(settings, data, model, tmp_path / "known")
    for where in ("network", "validation", "mean pose", "report"):
        assert some[where] == pytest.approx(known[where], rel=1e-3), where
        assert some[where]["regression_error"] > 0
    for task in TASKS:
        errors = some["people"][f"errors/{task}_error"]
        assert np.isnan(errors[1::2]).all()
        np.testing.assert_allclose(errors[::2], known["people"][f"errors/{task}_error"], rtol=1e-5)
        assert some["report"][f"{task}_error"] == pytest.approx(some["network"][f"{task}_error"], rel=1e-5)


def test_over_nobody_there_is_no_number_and_none_has_diverged(words: list[str], tmp_path: Path) -> None:
    settings = settings_of(words)
    data, model = built(settings)
    forget(data, "test", slice(None))
    assert count_labelled_people(model.tasks, data)["test"] == {"regression": 0, "detection": 0}
    found = measured(settings, data, model, tmp_path / "nobody")
    for where in ("network", "mean pose", "report"):
        assert set(found[where].values()) == {None}, where
    check_finite({"test": found["network"]}, model, data, "run")
    with torch.no_grad():
        model.network.head("regression").output_layer.bias.fill_(NAN)
    broken = measured(settings, data, model, tmp_path / "broken")["validation"]
    assert broken["regression_error"] is None
    with pytest.raises(UserError, match="run: diverged, val/regression_error is not finite"):
        check_finite({"val": broken}, model, data, "run")


@pytest.fixture
def occlude(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """From now on all joints of these rows of the pack are marked occluded."""

    def occlude(rows: Any) -> None:
        def opened(path: Path, skeleton: Skeleton) -> Pack:
            pack = open_pack(path, skeleton)
            pack.people.occluded[rows] = True
            return pack

        monkeypatch.setattr("hmlpe.data.datamodule.open_pack", opened)

    return occlude


@pytest.mark.parametrize(
    ("hidden", "said"),
    [("train", "none of .* train people have labels .*nothing to learn"), ("val", "no checkpoint can be chosen")],
)
def test_a_run_that_has_nothing_to_learn_from_or_choose_by_is_refused_before_it_writes(
    words: list[str], tmp_path: Path, occlude: Callable[[Any], None], hidden: str, said: str
) -> None:
    occlude(build_data(settings_of(words)).plain[hidden].rows)
    settings = settings_of(words, "data.use_occluded=false", "epochs=1")
    with pytest.raises(UserError, match=f"^data: .*{said}.*use_occluded=false"):
        run(settings, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_who_does_not_count_is_said_and_recorded(
    words: list[str], tmp_path: Path, occlude: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    occlude(build_data(settings_of(words)).plain["test"].rows[:5])
    run(settings_of(words, "data.use_occluded=false", "epochs=1", "trainer.progress=none"), tmp_path / "run")
    for task in TASKS:
        assert f"only 7 of 12 test people have labels for {task}" in caplog.text
    (found,) = collect_runs(tmp_path)
    assert found.finished and found.result.counted["test"] == {"regression": 7, "detection": 7}
    assert "12 test people (7 count for regression, 7 count for detection)" in render_markdown(summarise_runs([found]))
