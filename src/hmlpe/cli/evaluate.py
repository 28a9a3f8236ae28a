"""hmlpe-evaluate: a network, or another method's predictions, by the field's protocols."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError


def evaluate_all(config: DictConfig) -> None:
    """Score the network or the given predictions on each test set.

    Write a record for each, unless no protocol applies, and a table that compares it with earlier records.
    """
    from hmlpe.evaluate.run import evaluate
    from hmlpe.evaluate.settings import EvaluateSettings
    from hmlpe.evaluate.write import record_summary, write_comparison, write_evaluation
    from hmlpe.settings import to_plain_containers

    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    settings = EvaluateSettings.from_config({**to_plain_containers(config), "detector_name": choices.get("detector")})
    written: list[Path] = []
    sets: list[str] = []
    for record in evaluate(settings):
        folder = Path(settings.out) / record.data
        print(record_summary(record))
        if not record.scores and record.detected:
            continue  # nothing applies, as the summary says
        written += write_evaluation(folder, record, settings.overwrite)
        sets.append(record.data)
    if not written:
        raise UserError(
            "protocol: none applies, so nothing is measured; skeleton.parts would make sticks for pcp_strict, and "
            "a run's own result.json has its error in pixels"
        )
    for name in dict.fromkeys(sets):
        written += write_comparison(Path(settings.out) / name, name, settings.published.get(name) or [])
    print("\n".join(f"wrote {path}" for path in written))


def main() -> None:
    """Run the console script hmlpe-evaluate."""
    run_app("evaluate", evaluate_all)


if __name__ == "__main__":
    main()
