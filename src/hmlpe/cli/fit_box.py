"""hmlpe-fit-box: by which factors a detection must be scaled to hold a training set's joints."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError


def fit_box(config: DictConfig) -> None:
    """Fit, for each configured set, the factors by which a detection must be scaled to contain a share of the joints.

    The factors are printed, written and drawn for several shares, beside the configured factors.
    """
    from hmlpe.data.boxes import SHARES, fit_factors, normalised_joints
    from hmlpe.data.collection import build_data_sets
    from hmlpe.report.box_fit import draw_fits, fits_table, write_fits_csv
    from hmlpe.settings import DataSettings

    out = Path(config.out)
    for one in build_data_sets(DataSettings.from_config(config.data, "data"))[0]:
        name = one.source.name
        try:
            training = normalised_joints(one.source.people(), one.boxes)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
        fits = {"configured": training.evaluate(one.boxes.factors)}
        fits |= {f"{share * 100:g}% of joints": fit_factors(training, share) for share in SHARES}
        print(fits_table(name, training, fits))
        if one.boxes.aspect is not None:
            print(f"  'configured' is not used as is: boxes.aspect={one.boxes.aspect:g} sets the height")
        write_fits_csv(out / f"{name}.csv", fits)
        draw_fits(out / f"{name}.png", name, training, fits)
        print(f"wrote {out / name}.csv and .png\n")


def main() -> None:
    """Run the console script hmlpe-fit-box."""
    run_app("fit_box", fit_box, allowed=("data", "skeleton", "out"))


if __name__ == "__main__":
    main()
