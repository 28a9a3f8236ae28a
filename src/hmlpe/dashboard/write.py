"""A study's folder → `dashboard/` in it: the specifications as JSON and the table, and all of it in W&B on wish."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hmlpe.dashboard.study import read_study
from hmlpe.dashboard.table import send_table
from hmlpe.errors import UserError, install_command
from hmlpe.files import remove_leftovers, write_text_atomic
from hmlpe.tracking.load import load_wandb

FOLDER = "dashboard"
WORKSPACE, REPORT = "workspace.json", "report.json"


def write_dashboard(outputs: Path, name: str, project: str, entity: str | None = None, mode: str = "offline") -> str:
    """Write the specifications, then the table; with mode "online" send both.

    Args:
        outputs: the folder of all studies.
        name: of the study, which is its folder within.
        entity: W&B's user or team; None: the key's own.

    Returns:
        What was written and where it can be seen.

    Raises:
        UserError: no study there, a broken result, the extra is not installed, or W&B cannot be reached or refuses.
    """
    try:
        from hmlpe.dashboard.panels import sections_of
        from hmlpe.dashboard.workspace import publish, report_of, workspace_of
    except ImportError as error:
        raise UserError(f"{error}; hmlpe-dashboard needs an extra: {install_command('dashboard')}") from error
    if "'" in name:
        raise UserError(f"study: {name}: W&B's filters allow no quotation mark in a study's name")
    study, out = read_study(outputs / name, name), outputs / name / FOLDER
    sections = sections_of(study)
    specifications = {  # of nobody: with an owner, wandb-workspaces asks the server for the project
        WORKSPACE: workspace_of(study, sections, "", project)._to_model().spec,
        REPORT: report_of(study, sections, "", project)._to_model().spec,
    }
    remove_leftovers(out)
    for file, spec in specifications.items():
        write_text_atomic(out / file, steady(spec.model_dump_json(by_alias=True, exclude_none=True)))
    said = [f"wrote {out / file}" for file in specifications]
    try:
        said.append(f"wrote {send_table(study, out, project, entity, mode)}")
    except Exception as error:  # W&B's own kinds
        raise UserError(f"W&B: {' '.join(str(error).split())[:300]}; the specifications are in {out}") from error
    if mode == "online":
        owner = entity or own_entity()
        view, report = (build(study, sections, owner, project) for build in (workspace_of, report_of))
        said += [f"{kind}: {url}" for kind, url in publish(view, report, out).items()]
    return "\n".join(said)


def own_entity() -> str:
    """Whose projects a key's are. Raises UserError: no key, or W&B cannot be reached."""
    try:
        return str(load_wandb().Api().default_entity)
    except Exception as error:  # of the network or the key
        raise UserError(f"W&B: {' '.join(str(error).split())[:300]}; log in: wandb login") from error


def steady(spec: str) -> str:
    """The JSON, indented, with the ids that wandb-workspaces draws anew each time replaced by running numbers."""
    drawn = dict.fromkeys(re.findall(r'"(?:__id__|id)":"(\w{8,})"', spec))
    for number, name in enumerate(drawn):
        spec = spec.replace(f'"{name}"', f'"{number:04d}"')
    return json.dumps(json.loads(spec), indent=1) + "\n"
