"""Write a study's dashboard into its folder, as specifications in JSON and a table, and send it to W&B if wanted."""

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
    """Write the specifications of a study's workspace and report, and its table; with mode "online", send all to W&B.

    Args:
        outputs: the folder of all studies.
        name: the study's name, which is that of its folder.
        project: the W&B project.
        entity: the W&B user or team; None: the default of the key.
        mode: "online" or "offline".

    Returns:
        A text that states what was written and where it can be seen.

    Raises:
        UserError: there is no such study, a result is broken, the extra is not installed, or W&B cannot be reached or
            refuses.
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
    specifications = {  # without an owner: with one, wandb-workspaces would ask the server for the project
        WORKSPACE: workspace_of(study, sections, "", project)._to_model().spec,
        REPORT: report_of(study, sections, "", project)._to_model().spec,
    }
    remove_leftovers(out)
    for file, spec in specifications.items():
        write_text_atomic(out / file, with_stable_ids(spec.model_dump_json(by_alias=True, exclude_none=True)))
    said = [f"wrote {out / file}" for file in specifications]
    try:
        said.append(f"wrote {send_table(study, out, project, entity, mode)}")
    except Exception as error:  # of W&B's own classes
        raise UserError(f"W&B: {' '.join(str(error).split())[:300]}; the specifications are in {out}") from error
    if mode == "online":
        owner = entity or default_entity()
        view, report = (build(study, sections, owner, project) for build in (workspace_of, report_of))
        said += [f"{kind}: {url}" for kind, url in publish(view, report, out).items()]
    return "\n".join(said)


def default_entity() -> str:
    """Return the user or team that the W&B key belongs to. Raises UserError: no key, or W&B cannot be reached."""
    try:
        return str(load_wandb().Api().default_entity)
    except Exception as error:  # errors of the network or the key
        raise UserError(f"W&B: {' '.join(str(error).split())[:300]}; log in: wandb login") from error


def with_stable_ids(spec: str) -> str:
    """Return the JSON, indented, with the random ids of wandb-workspaces replaced by consecutive numbers."""
    drawn = dict.fromkeys(re.findall(r'"(?:__id__|id)":"(\w{8,})"', spec))
    for number, name in enumerate(drawn):
        spec = spec.replace(f'"{name}"', f'"{number:04d}"')
    return json.dumps(json.loads(spec), indent=1) + "\n"
