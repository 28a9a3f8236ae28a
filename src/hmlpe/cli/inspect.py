"""hmlpe-inspect: what a network's shared layers have learnt."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError
from hmlpe.inside.settings import InspectSettings


def inspect(config: DictConfig) -> None:
    """Look inside, write what was found, and say where and what in a few lines."""
    settings = InspectSettings.of(config)
    if settings.checkpoint is None:
        inspect_study(Path(str(settings.paths.outputs)) / str(settings.study), settings)
        return
    from hmlpe.inside.run import inspect_checkpoint

    found, _, written = inspect_checkpoint(settings)
    print(found.words)
    print("\n".join(f"wrote {one}" for one in written))


def inspect_study(study: Path, settings: InspectSettings) -> None:
    """Look into each finished run, and one untrained network a seed; then compare the rows."""
    from hmlpe.inside.record import FOLDER, Record
    from hmlpe.inside.rows import UNTRAINED, in_words, write_rows
    from hmlpe.inside.run import inspect_checkpoint
    from hmlpe.report.runs import base_of, collect
    from hmlpe.runs.folder import checkpoint_of

    finished = [run for run in collect(study) if run.finished]
    runs = [run for run in finished if checkpoint_of(run.file.parent).is_file()]
    for run in finished:
        if run not in runs:
            print(f"{run.name}: left out, its checkpoint is gone")
    if not runs:
        raise UserError(f"study: {study}: no run is finished and has its checkpoint")
    out = Path(settings.out) if settings.out else study / FOLDER
    looks = [(run, False) for run in runs] + [(run, True) for run in {run.seed: run for run in runs}.values()]
    records: list[Record] = []
    failed: list[str] = []
    for number, (run, untrained) in enumerate(looks, start=1):
        print(f"{number} of {len(looks)}: {f'{UNTRAINED}, seed {run.seed}' if untrained else run.name}", flush=True)
        own = out / f"{UNTRAINED}_s{run.seed}" if untrained else None if settings.out is None else out / run.name
        checkpoint = checkpoint_of(run.file.parent)
        try:
            records.append(inspect_checkpoint(settings, checkpoint, own, untrained)[1])
        except UserError as error:
            failed.append(f"{run.name}: {error}")
            print(f"left out: {error}", flush=True)
    if not records:
        raise UserError(failed[0])
    records.sort(key=lambda record: record.row != UNTRAINED)
    found, written = write_rows(out, records, base_of(runs))
    print(in_words(found))
    print("\n".join(f"wrote {one}" for one in written))


def main() -> None:
    """Entry point."""
    run_app("inspect", inspect)


if __name__ == "__main__":
    main()
