"""One complete run: seeds, data, model, training, evaluation, result."""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.pack import open_pack
from hmlpe.errors import UserError
from hmlpe.lock import locked
from hmlpe.pictures import FILTERS
from hmlpe.row_name import name_of_balance
from hmlpe.runs.folder import (
    RESULT,
    RunState,
    finished_result_or_clean_up,
    first_start_time,
    read_result_json,
    read_run_state,
    remove_training_checkpoints,
    write_config,
    write_result,
)
from hmlpe.runs.metric import TaskInfo
from hmlpe.runs.rules import rule_text
from hmlpe.settings import build_component
from hmlpe.training.build import (
    build_balance,
    build_data,
    build_metrics,
    build_model,
    build_tasks,
    check_pack_settings,
    resolve_precision,
)
from hmlpe.training.checkpoint import KEY, epoch_file, epoch_from_name, read_checkpoint, reference_task
from hmlpe.training.described import check_labelled_counts, count_labelled_people, logged_metric_infos
from hmlpe.training.devices import check_devices, threads_per_process
from hmlpe.training.fit import fit_and_evaluate
from hmlpe.training.launch import distribute_over_devices
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.provenance import MADE_BY, run_identity, run_provenance
from hmlpe.training.ranks import is_rank_zero, on_rank_zero
from hmlpe.training.settings import TrainSettings

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 10.0  # a killed process may take a moment to be gone


@distribute_over_devices
def run(settings: TrainSettings, folder: Path) -> dict[str, Any]:
    """Train and evaluate a run in `folder`; skip a finished run, and resume one that was stopped.

    Args:
        settings: the settings of the run.
        folder: folder of the run.

    Returns:
        The result, as in `<folder>/result.json`.

    Raises:
        UserError: the input is bad, or another process is working on this run. An error during training is first
            recorded in result.json.
    """
    name = f"{settings.row.name} · seed {settings.seed}"
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no hints on hardware and products at each run
    warnings.filterwarnings("ignore", "The `srun` command is available")  # SLURM may be there without being used
    check_devices(settings.trainer, settings.optim.batch_size)
    torch.set_num_threads(threads_per_process(settings.trainer))
    L.seed_everything(settings.seed, workers=True, verbose=False)
    check_init_from(settings)
    data = build_data(settings)
    identity = run_identity(settings, str(data.pack.manifest["digest"]))
    tasks = build_tasks(settings, [attribute.name for attribute in data.attributes])
    model = build_model(settings, tasks, {key: identity[key] for key in MADE_BY if key in identity})
    warn_of_another_pack(settings, name, identity["data"])
    with ExitStack() as held:
        on_rank_zero(lambda: held.enter_context(locked(folder / ".lock", "run", LOCK_TIMEOUT_S)))
        overwrite = settings.overwrite or settings.sweep.redo == "stale"
        done = on_rank_zero(lambda: finished_result_or_clean_up(folder, identity, overwrite, settings.tree))
        if done is not None:
            check_kept_epochs(settings, folder)
            log.info("%s: already finished, skipped (%s)", name, folder)
            return done
        return _train_and_record(settings, folder, data, model, identity, name)


def find_run_state(settings: TrainSettings, folder: Path) -> RunState:
    """Return the state in which `run` would find the folder (e.g. finished or stale), without changing anything.

    Raises:
        UserError: the input is bad.
    """
    check_devices(settings.trainer, settings.optim.batch_size)
    check_init_from(settings)
    pack = open_pack(Path(settings.data.pack), build_component("skeleton", settings.skeleton))
    identity = run_identity(settings, str(pack.manifest["digest"]))
    state = read_run_state(folder, identity, settings.tree)
    if state.kind != "finished":  # then the same settings have passed this, and a study may have a thousand runs
        build_balance(settings)
        build_tasks(settings, [attribute.name for attribute in pack.attributes])
        check_pack_settings(settings.data, pack)
    return state


def _train_and_record(
    settings: TrainSettings,
    folder: Path,
    data: PoseDataModule,
    model: MultiTaskPose,
    identity: dict[str, str],
    run_name: str,
) -> dict[str, Any]:
    """Train and evaluate, and return the result; result.json says "running", then "finished" or "failed"."""
    precision = resolve_precision(settings.trainer.precision, settings.trainer.accelerator)
    counts = count_labelled_people(model.tasks, data)
    check_labelled_counts(counts, data, model.balance.active, settings.fit, run_name)
    fields = describe_run(settings, data, model) | {
        "counted": counts,
        "identity": identity,
        "provenance": run_provenance(settings, identity["data"], precision),
        "started": first_start_time(folder) or utc_now(),
    }
    if is_rank_zero():
        write_config(folder, settings.tree)
    write_result(folder, "running", fields, is_rank_zero())
    started = time.monotonic()
    try:
        fields |= fit_and_evaluate(settings, folder, data, model, precision, run_name)
        if settings.fit:  # the weights of the last step, whichever checkpoint is evaluated
            fields["balance"] |= {"weights": model.balance.checked_weights(model.step_info)}
    except (KeyboardInterrupt, SystemExit):  # Lightning turns KeyboardInterrupt into SystemExit
        log.warning("%s: interrupted; rerun the same command to resume after the last full epoch", run_name)
        write_result(folder, "failed", fields | {"error": "interrupted"}, is_rank_zero())
        raise
    except BaseException as error:
        with suppress(OSError):  # a full disk has no room for the record either; the first error is raised
            said = " ".join(f"{type(error).__name__}: {error}".split())
            write_result(folder, "failed", fields | {"error": said}, is_rank_zero())
        raise
    fields |= {"finished": utc_now(), "seconds": round(time.monotonic() - started, 1)}  # since the last start
    result = write_result(folder, "finished", fields, is_rank_zero())
    if is_rank_zero():
        remove_training_checkpoints(folder)
    return result


def utc_now() -> str:
    """Return the present time in UTC, to the second, in ISO format."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe_run(settings: TrainSettings, data: PoseDataModule, model: MultiTaskPose) -> dict[str, Any]:
    """Return the fields of result.json that describe the run: its row, data, recipe and metrics, without its scores."""
    return {
        "experiment": settings.study,
        "row": settings.row.name,
        "seed": settings.seed,
        "weights": model.balance.weights,
        "balance": {"name": name_of_balance(settings.balance), "weights": None},  # weights: set at the end of training
        "protocol": describe_protocol(settings, data),
        "sets": list(data.tested_sets),
        "sides": str(settings.data.sides),
        "base": reference_task(model.tasks),
        "tasks": {name: TaskInfo(symbol=task.symbol or name).model_dump() for name, task in model.tasks.items()},
        "described": {
            name: info.model_dump(mode="json", exclude_defaults=True)
            for name, info in logged_metric_infos(model).items()
        },
        "pictures": [name for task in model.balance.active for name in model.tasks[task].pictures] + [FILTERS],
        "checkpoint_rule": rule_text(settings.select, reference_task(model.tasks))
        if settings.fit
        else "the given checkpoint",
        "epochs": settings.epochs,
        "start": describe_start(settings),
        "varies": list(settings.varies),
        "recipe": settings.optim.name,
        "network": settings.network_name,
        "people": data.count_people(),
        "neighbours": data.count_neighbours(),
    }


def describe_protocol(settings: TrainSettings, data: PoseDataModule) -> str:
    """Return a description, in words, of which people are tested and by which protocols.

    The text is the same for all rows, whichever tasks they train.
    """
    sets = data.tested_sets
    rules = sorted({f"{data.pack.manifest['boxes'][name]['test']}" for name in sets})
    metrics = [metric for named in build_metrics(settings).values() for metric in named.values()]
    protocols = {str(metric.protocol) for metric in metrics if hasattr(metric, "protocol")}
    named = ", ".join(sorted(protocols, reverse=True)) or "no published protocol"
    return f"{'+'.join(sets)}: {named}; sides={settings.data.sides}, test boxes={'+'.join(rules)}"


def check_init_from(settings: TrainSettings) -> None:
    """Raise UserError if the checkpoint `init_from` is missing or, for training, made by a run that is not finished."""
    if settings.init_from is None:
        return
    if not Path(settings.init_from).is_file():
        raise UserError(f"init_from: {settings.init_from}: there is no such file")
    if not settings.fit:
        return
    folder = Path(settings.init_from).parent.parent
    if read_result_json(folder).get("status", "finished") != "finished":
        raise UserError(
            f"init_from: {settings.init_from}: its run is not finished ({folder / RESULT}); finish it first"
        )


def check_kept_epochs(settings: TrainSettings, folder: Path) -> None:
    """Raise UserError if a finished run lacks the weights after an epoch of `keep_epochs`."""
    for epoch in settings.keep_epochs:
        if not epoch_file(folder / "checkpoints", epoch).is_file():
            raise UserError(
                f"keep_epochs: {folder} is finished but did not keep the weights after epoch {epoch}; move it away "
                "to train it again"
            )


def warn_of_another_pack(settings: TrainSettings, run_name: str, data_digest: str) -> None:
    """Warn if the checkpoint `init_from` was trained on another pack, whose training people may be evaluated here.

    Args:
        settings: the settings of the run.
        run_name: name of the run, for the log.
        data_digest: digest of the run's own pack.
    """
    if settings.init_from is None:
        return
    checkpoint_digest = read_checkpoint(Path(settings.init_from))[KEY].get("made_by", {}).get("data")
    if checkpoint_digest != data_digest:
        log.warning(
            "%s: %s was trained on another pack, whose people may be among this one's test people",
            run_name,
            settings.init_from,
        )


def describe_start(settings: TrainSettings) -> str:
    """Return a text that says what a run starts from: "scratch", or the study and row of its checkpoint.

    For a checkpoint it also says after which epoch the weights were kept, and whether the heads are new.
    """
    if settings.init_from is None:
        return "scratch"
    made: dict[str, Any] = read_checkpoint(Path(settings.init_from))[KEY]["config"]
    heads = "" if settings.heads == "keep" else ", new heads"
    epoch = epoch_from_name(Path(settings.init_from))
    when = "" if epoch is None else f" after epoch {epoch}"
    return f"{made.get('study')}/{made.get('row', {}).get('name')}{when}{heads}"
