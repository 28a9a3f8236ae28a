"""Send a study's dashboard to W&B; the second call updates the same view and the same report."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports import v2 as wr

from hmlpe.errors import UserError
from hmlpe.files import read_json, write_json_atomic

PUBLISHED = "published.json"  # where the view and the report are, beside the specifications


def publish(workspace: ws.Workspace, report: wr.Report, folder: Path) -> dict[str, str]:
    """Create both, or update those that `folder` remembers. Returns their addresses, under workspace and report.

    Raises:
        UserError: W&B cannot be reached, or refuses.
    """
    path, owner = folder / PUBLISHED, f"{workspace.entity}/{workspace.project}"
    published: dict[str, dict[str, str]] = read_json(path) if path.is_file() else {}
    found = published.setdefault(owner, {})
    try:
        found["workspace"] = _view(workspace, found.get("workspace"))
        write_json_atomic(path, published)  # should the report fail, the next call finds the view
        found["report"] = _report(report, found.get("report"))
    except Exception as error:  # of the network, the key, or the service: all of them W&B's
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"W&B: {said}; the specifications are in {folder}; the same command tries again") from error
    write_json_atomic(path, published)
    return found


def _view(workspace: ws.Workspace, url: str | None) -> str:
    with suppress(ValueError):  # somebody has deleted it
        if url is not None:
            old = ws.Workspace.from_url(url)
            old.name, old.sections = workspace.name, workspace.sections
            old.settings, old.runset_settings = workspace.settings, workspace.runset_settings
            workspace = old
    return str(workspace.save().url)


def _report(report: wr.Report, url: str | None) -> str:
    with suppress(ValueError, TypeError):  # as above
        if url is not None:
            report.id = wr.Report.from_url(url).id
    return str(report.save().url)
