"""The output of `hmlpe-fit-box`: a table of box factors, and a plot of the joints around the detections."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hmlpe.data.boxes import FactorFit, NormalisedJoints
from hmlpe.files import write_bytes_atomic
from hmlpe.text_table import aligned_lines, csv_text

_HEADER = ("choice", "across", "up", "down", "joints cut off", "of", "people with one", "of", "area")
_COLOURS = {"joints": "#0072B2", "configured": "#D55E00", "box": "#000000"}


def fits_table(name: str, training_joints: NormalisedJoints, fits: Mapping[str, FactorFit]) -> str:
    """Return the table of the fitted box factors as text for the console.

    Args:
        name: the data set's name.
        training_joints: joints of the training people relative to their detections.
        fits: the result for each choice of factors, by name of the choice.
    """
    lines = [
        f"{name}: {len(training_joints.points)} training people; "
        f"factors of the {training_joints.rule}'s half width and height"
    ]
    rows = [_HEADER, *(_fit_cells(choice, fit) for choice, fit in fits.items())]
    return "\n".join([*lines, *aligned_lines(rows, right=range(1, len(_HEADER)))])


def write_fits_csv(path: Path, fits: Mapping[str, FactorFit]) -> None:
    """Write the numbers of `fits_table` as CSV."""
    header = ["choice", "across", "up", "down", "joints_cut", "joints", "people_cut", "people", "area"]
    rows = [
        [choice, *fit.factors, fit.joints_cut, fit.joints, fit.people_cut, fit.people, f"{fit.area:.3f}"]
        for choice, fit in fits.items()
    ]
    write_bytes_atomic(path, csv_text(header, rows).encode())


def draw_fits(path: Path, name: str, training_joints: NormalisedJoints, fits: Mapping[str, FactorFit]) -> None:
    """Draw the joints around the detection, and the boxes of three choices of factors, into a PNG file."""
    points = training_joints.points[training_joints.is_known]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own style must not change the bytes
        figure = Figure(figsize=(7.5, 7.5), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        ax.plot(points[:, 0], points[:, 1], ".", ms=1.5, alpha=0.3, color=_COLOURS["joints"], rasterized=True)
        ax.plot([], [], ".", ms=6, color=_COLOURS["joints"], label="joints of training people")
        ax.add_patch(Rectangle((-1, -1), 2, 2, fill=True, color="#999999", alpha=0.35, label=training_joints.rule))
        for choice, style in (("configured", "-"), ("99% of joints", "--"), ("100% of joints", ":")):
            fit = fits[choice]
            across, up, down = fit.factors
            colour = _COLOURS["configured" if choice == "configured" else "box"]
            label = f"{choice}: {across:g}, {up:g}, {down:g} cut off {fit.joints_cut} of {fit.joints} joints"
            corner, height = (-across, -1 - up), 2 + up + down
            ax.add_patch(Rectangle(corner, 2 * across, height, fill=False, ls=style, ec=colour, lw=1.6, label=label))
        # Detections of almost no size put a few joints very far away: the axes show the region of the others.
        seen = [fits[choice].factors for choice in ("configured", "99% of joints")]
        limit = 1.5 * np.max([[across, 1 + max(up, down)] for across, up, down in seen], axis=0)
        outside = int((np.abs(points) > limit).any(axis=1).sum())
        ax.set(xlim=(-limit[0], limit[0]), ylim=(limit[1], -limit[1]), aspect="equal")
        ax.set(title=f"{name}: joints in half widths and half heights of the {training_joints.rule}")
        ax.set(xlabel=f"{outside} joints lie outside the picture" if outside else "")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), frameon=False)
        image = io.BytesIO()
        figure.savefig(image, format="png", metadata={"Software": None})
    write_bytes_atomic(path, image.getvalue())


def _fit_cells(choice: str, fit: FactorFit) -> tuple[str, ...]:
    """Return the cells of the table's row for one choice of factors."""
    factors = (f"{factor:.2f}" for factor in fit.factors)
    joints = (f"{fit.joints_cut} ({fit.joints_cut / fit.joints:.2%})", str(fit.joints))
    people = (f"{fit.people_cut} ({fit.people_cut / fit.people:.1%})", str(fit.people))
    return (choice, *factors, *joints, *people, f"{fit.area:.2f}")
