"""Make the workspace and the report of a study, as objects of wandb-workspaces, and publish them in W&B."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports import v2 as wr

from hmlpe.dashboard.panels import ROW, Section
from hmlpe.dashboard.study import Study
from hmlpe.dashboard.table import JOB, TABLE
from hmlpe.errors import UserError
from hmlpe.files import read_json, write_json_atomic
from hmlpe.report.runs import base_task_of

N_OPEN = 4  # number of sections that are unfolded at first
PUBLISHED = "published.json"  # the addresses of workspace and report, beside the specifications


def workspace_of(study: Study, sections: list[Section], entity: str, project: str) -> ws.Workspace:
    """Return a W&B workspace (not saved yet) that shows the sections, with the study's runs grouped by row."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=title_of(study),
        sections=[
            ws.Section(name=title, panels=panels, is_open=number < N_OPEN)
            for number, (title, panels) in enumerate(sections)
        ],
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=ws.RunsetSettings(filters=_runs_filter(study), groupby=[ws.Config(ROW)]),
    )


def report_of(study: Study, sections: list[Section], entity: str, project: str) -> wr.Report:
    """Return a W&B report (not saved yet) with a text, the study's table, and the sections."""

    def runset(name: str, filters: str, groups: list[str]) -> wr.Runset:
        return wr.Runset(entity=entity, project=project, name=name, filters=filters, groupby=groups)

    blocks: list[Any] = [
        wr.P(
            f"{len(study.runs)} runs of {len({run.row for run in study.runs})} rows. A band is the deviation over "
            f"seeds. The record is the study's folder; hmlpe-dashboard made this report and overwrites it."
        ),
        wr.H2("One line per run"),
        wr.PanelGrid(
            runsets=[runset("summary", f"JobType = '{JOB}' and Group = '{study.name}'", [])],
            panels=[wr.WeavePanelSummaryTable(table_name=TABLE, layout=wr.Layout(x=0, y=0, w=24, h=12))],
        ),
    ]
    for title, panels in sections:
        grid = wr.PanelGrid(runsets=[runset(study.name, _runs_filter(study), [f"config.{ROW}"])], panels=panels)
        blocks += [wr.H2(title), grid]
    described = (
        f"Weights of {', '.join(task for task in study.tasks if task != base_task_of(study.runs))} against both errors"
    )
    return wr.Report(
        project=project, entity=entity, title=title_of(study), description=described, blocks=blocks, width="fluid"
    )


def title_of(study: Study) -> str:
    """Return the title of the study's workspace and report."""
    return f"{study.name}: hmlpe"


def _runs_filter(study: Study) -> str:
    """Return the W&B filter expression that selects the study's runs, without the run of the table."""
    return f"Group = '{study.name}' and JobType != '{JOB}'"


def publish(workspace: ws.Workspace, report: wr.Report, folder: Path) -> dict[str, str]:
    """Create workspace and report in W&B, or update those whose addresses are stored in `folder`.

    Returns:
        Their addresses, under "workspace" and "report".

    Raises:
        UserError: W&B cannot be reached, or refuses.
    """
    path, owner = folder / PUBLISHED, f"{workspace.entity}/{workspace.project}"
    published: dict[str, dict[str, str]] = read_json(path) if path.is_file() else {}
    found = published.setdefault(owner, {})
    try:
        found["workspace"] = _save_workspace(workspace, found.get("workspace"))
        write_json_atomic(path, published)  # if the report fails, the next call still finds the workspace
        found["report"] = _save_report(report, found.get("report"))
    except Exception as error:  # errors of the network, the key or the service, all raised by W&B
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"W&B: {said}; the specifications are in {folder}; the same command tries again") from error
    write_json_atomic(path, published)
    return found


def _save_workspace(workspace: ws.Workspace, url: str | None) -> str:
    """Save the workspace in place of the one at `url`, or as a new one, and return its URL."""
    with suppress(ValueError):  # it has been deleted
        if url is not None:
            old = ws.Workspace.from_url(url)
            old.name, old.sections = workspace.name, workspace.sections
            old.settings, old.runset_settings = workspace.settings, workspace.runset_settings
            workspace = old
    return str(workspace.save().url)


def _save_report(report: wr.Report, url: str | None) -> str:
    """Save the report in place of the one at `url`, or as a new one, and return its URL."""
    with suppress(ValueError, TypeError):  # as above
        if url is not None:
            report.id = wr.Report.from_url(url).id
    return str(report.save().url)
