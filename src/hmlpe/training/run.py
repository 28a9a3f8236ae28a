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
    State,
    finished_result,
    first_start,
    read_record,
    remove_training_checkpoints,
    state_of,
    write_config,
    write_result,
)
from hmlpe.runs.metric import TaskInfo
from hmlpe.runs.rules import rule_text
from hmlpe.settings import make
from hmlpe.training.build import (
    build_balance,
    build_data,
    build_metrics,
    build_model,
    build_tasks,
    check_settings,
    resolve_precision,
)
from hmlpe.training.checkpoint import KEY, base_of, epoch_file, kept_epoch, read_checkpoint
from hmlpe.training.described import check_known_counts, count_known, logged_infos
from hmlpe.training.devices import check_devices, threads_of
from hmlpe.training.fit import fit_and_evaluate
from hmlpe.training.launch import over_devices
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.provenance import MADE_BY, identity_of, provenance
from hmlpe.training.ranks import is_rank_zero, on_rank_zero
from hmlpe.training.settings import TrainSettings

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 10.0  # a killed process may take a moment to be gone


@over_devices
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
    torch.set_num_threads(threads_of(settings.trainer))
    L.seed_everything(settings.seed, workers=True, verbose=False)
    check_start(settings)
    data = build_data(settings)
    identity = identity_of(settings, str(data.pack.manifest["digest"]))
    tasks = build_tasks(settings, [attribute.name for attribute in data.attributes])
    model = build_model(settings, tasks, {key: identity[key] for key in MADE_BY if key in identity})
    warn_of_another_pack(settings, name, identity["data"])
    with ExitStack() as held:
        on_rank_zero(lambda: held.enter_context(locked(folder / ".lock", "run", LOCK_TIMEOUT_S)))
        overwrite = settings.overwrite or settings.sweep.redo == "stale"
        done = on_rank_zero(lambda: finished_result(folder, identity, overwrite))
        if done is not None:
            check_kept_epochs(settings, folder)
            log.info("%s: finished already, skipped (%s)", name, folder)
            return done
        return _train(settings, folder, data, model, identity, name)


def look(settings: TrainSettings, folder: Path) -> State:
    """Return the state of the run in `folder` as `run` would find it, without changing anything.

    Raises:
        UserError: the input is bad.
    """
    check_devices(settings.trainer, settings.optim.batch_size)
    build_balance(settings)
    check_start(settings)
    pack = open_pack(Path(settings.data.pack), make("skeleton", settings.skeleton))
    build_tasks(settings, [attribute.name for attribute in pack.attributes])
    check_settings(settings.data, pack)
    return state_of(folder, identity_of(settings, str(pack.manifest["digest"])))


def _train(
    settings: TrainSettings,
    folder: Path,
    data: PoseDataModule,
    model: MultiTaskPose,
    identity: dict[str, str],
    name: str,
) -> dict[str, Any]:
    """Train and evaluate, and record in result.json that the run is running, then that it has failed or finished."""
    precision = resolve_precision(settings.trainer.precision, settings.trainer.accelerator)
    counts = count_known(model.tasks, data)
    check_known_counts(counts, data, model.balance.active, settings.fit, name)
    fields = describe(settings, data, model) | {
        "counted": counts,
        "identity": identity,
        "provenance": provenance(settings, identity["data"], precision),
        "started": first_start(folder) or now(),
    }
    if is_rank_zero():
        write_config(folder, settings.tree)
    write_result(folder, "running", fields, is_rank_zero())
    started = time.monotonic()
    try:
        fields |= fit_and_evaluate(settings, folder, data, model, precision, name)
        if settings.fit:  # the weights of the last step, whichever checkpoint is evaluated
            fields["balance"] |= {"weights": model.balance.checked_weights(model.step_info)}
    except (KeyboardInterrupt, SystemExit):  # Lightning turns KeyboardInterrupt into SystemExit
        log.warning("%s: interrupted; the same command goes on after the last whole epoch", name)
        write_result(folder, "failed", fields | {"error": "interrupted"}, is_rank_zero())
        raise
    except BaseException as error:
        with suppress(OSError):  # a full disk has no room for the record either; the first error is raised
            said = " ".join(f"{type(error).__name__}: {error}".split())
            write_result(folder, "failed", fields | {"error": said}, is_rank_zero())
        raise
    fields |= {"finished": now(), "seconds": round(time.monotonic() - started, 1)}  # since the last start
    result = write_result(folder, "finished", fields, is_rank_zero())
    if is_rank_zero():
        remove_training_checkpoints(folder)
    return result


def now() -> str:
    """Return the present time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe(settings: TrainSettings, data: PoseDataModule, model: MultiTaskPose) -> dict[str, Any]:
    """Return the fields of the result that describe the run, apart from its numbers."""
    return {
        "experiment": settings.study,
        "row": settings.row.name,
        "seed": settings.seed,
        "weights": model.balance.weights,
        "balance": {"name": name_of_balance(settings.balance), "weights": None},  # weights: set at the end of training
        "protocol": protocol(settings, data),
        "sets": list(data.tested_sets),
        "sides": str(settings.data.sides),
        "base": base_of(model.tasks),
        "tasks": {name: TaskInfo(symbol=task.symbol or name).model_dump() for name, task in model.tasks.items()},
        "described": {
            name: info.model_dump(mode="json", exclude_defaults=True) for name, info in logged_infos(model).items()
        },
        "pictures": [name for task in model.balance.active for name in model.tasks[task].pictures] + [FILTERS],
        "checkpoint_rule": rule_text(settings.select, base_of(model.tasks)) if settings.fit else "the given checkpoint",
        "epochs": settings.epochs,
        "start": describe_start(settings),
        "varies": list(settings.varies),
        "recipe": settings.optim.name,
        "network": settings.network_name,
        "people": data.people(),
        "neighbours": data.neighbours(),
    }


def protocol(settings: TrainSettings, data: PoseDataModule) -> str:
    """Return in words which people are tested by which protocols.

    The text is the same for all rows, whichever tasks they train.
    """
    sets = data.tested_sets
    rules = sorted({f"{data.pack.manifest['boxes'][name]['test']}" for name in sets})
    metrics = [metric for named in build_metrics(settings).values() for metric in named.values()]
    protocols = {str(metric.protocol) for metric in metrics if hasattr(metric, "protocol")}
    named = ", ".join(sorted(protocols, reverse=True)) or "no published protocol"
    return f"{'+'.join(sets)}: {named}; sides={settings.data.sides}, test boxes={'+'.join(rules)}"


def check_start(settings: TrainSettings) -> None:
    """Raise UserError if the checkpoint is missing or if, for training, its own run is not finished."""
    if settings.init_from is None:
        return
    if not Path(settings.init_from).is_file():
        raise UserError(f"init_from: {settings.init_from}: there is no such file")
    if not settings.fit:
        return
    folder = Path(settings.init_from).parent.parent
    if read_record(folder).get("status", "finished") != "finished":
        raise UserError(
            f"init_from: {settings.init_from}: its run is not finished ({folder / RESULT}); finish it first"
        )


def check_kept_epochs(settings: TrainSettings, folder: Path) -> None:
    """Raise UserError if a finished run lacks the weights after an epoch of `keep_epochs`."""
    for epoch in settings.keep_epochs:
        if not epoch_file(folder / "checkpoints", epoch).is_file():
            raise UserError(
                f"keep_epochs: {folder} is finished, and has not kept the weights after epoch {epoch}; move it away, "
                "so that it is trained again"
            )


def warn_of_another_pack(settings: TrainSettings, name: str, data: str) -> None:
    """Warn if the checkpoint was trained on another pack, whose training people may be test or validation people here.

    Args:
        settings: the settings of the run.
        name: name of the run, for the log.
        data: digest of the run's own pack.
    """
    if settings.init_from is None:
        return
    other = read_checkpoint(Path(settings.init_from))[KEY].get("made_by", {}).get("data")
    if other != data:
        log.warning(
            "%s: %s was trained on another pack, whose people may be in this one's test", name, settings.init_from
        )


def describe_start(settings: TrainSettings) -> str:
    """Return in words what a run starts from: scratch, or the checkpoint's study and row, and whether heads are new."""
    if settings.init_from is None:
        return "scratch"
    made: dict[str, Any] = read_checkpoint(Path(settings.init_from))[KEY]["config"]
    heads = "" if settings.heads == "keep" else ", new heads"
    epoch = kept_epoch(Path(settings.init_from))
    when = "" if epoch is None else f" after epoch {epoch}"
    return f"{made.get('study')}/{made.get('row', {}).get('name')}{when}{heads}"
