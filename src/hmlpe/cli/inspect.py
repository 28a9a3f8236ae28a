"""hmlpe-inspect: what a network's shared layers have learnt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame

    from hmlpe.inside.run import InspectSettings


def inspect(config: DictConfig) -> None:
    """Inspect the network of a checkpoint, or all finished runs of a study.

    Write the results and print a short summary.
    """
    from hmlpe.inside.run import InspectSettings, inspect_checkpoint

    settings = InspectSettings.from_config(config)
    if settings.checkpoint is None:
        inspect_study(Path(str(settings.paths.outputs)) / str(settings.study), settings)
        return
    found, _, written = inspect_checkpoint(settings)
    print(found.words)
    print("\n".join(f"wrote {one}" for one in written))


def inspect_study(study: Path, settings: InspectSettings) -> None:
    """Inspect the network of each finished run, and one untrained network for each seed; then compare the rows.

    Results are written into the study's folder, or below `settings.out`, and a summary is printed.

    Raises:
        UserError: no run is finished and has its checkpoint, or no network can be inspected.
    """
    from hmlpe.inside.record import FOLDER, Record, maps_table
    from hmlpe.inside.rows import UNTRAINED, describe_trends, write_rows
    from hmlpe.inside.run import inspect_checkpoint
    from hmlpe.report.runs import base_task_of, collect_runs
    from hmlpe.runs.folder import evaluated_checkpoint

    finished = [run for run in collect_runs(study) if run.finished]
    runs = [run for run in finished if evaluated_checkpoint(run.file.parent).is_file()]
    for run in finished:
        if run not in runs:
            print(f"{run.name}: left out, its checkpoint is gone")
    if not runs:
        raise UserError(f"study: {study}: no finished run still has its checkpoint")
    out = Path(settings.out) if settings.out else study / FOLDER
    looks = [(run, False) for run in runs]
    looked: list[tuple[Record, DataFrame]] = []
    failed: list[str] = []
    number = len(runs) + len({run.seed for run in runs})
    for at, (run, untrained) in enumerate(looks, start=1):  # an untrained network is made of a run that can be opened
        print(f"{at} of {number}: {f'{UNTRAINED}, seed {run.seed}' if untrained else run.name}", flush=True)
        own = out / f"{UNTRAINED}_s{run.seed}" if untrained else None if settings.out is None else out / run.name
        checkpoint = evaluated_checkpoint(run.file.parent)
        try:
            found, record, _ = inspect_checkpoint(settings, checkpoint, own, untrained)
            looked.append((record, maps_table(found)))
            if not untrained and not any(other.seed == run.seed for other, is_untrained in looks if is_untrained):
                looks.append((run, True))
        except UserError as error:
            failed.append(f"{run.name}: {error}")
            print(f"left out: {error}", flush=True)
    if not looked:
        raise UserError(failed[0])
    looked.sort(key=lambda one: one[0].row != UNTRAINED)
    trends, written = write_rows(
        out, [record for record, _ in looked], [maps for _, maps in looked], base_task_of(runs)
    )
    print(describe_trends(trends))
    print("\n".join(f"wrote {one}" for one in written))


def main() -> None:
    """Run the console script hmlpe-inspect."""
    run_app("inspect", inspect)


if __name__ == "__main__":
    main()
