"""The dashboard of a study: its structure, what it does with bad input, and that a second call updates."""

import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import wandb
from wandb_workspaces.reports.v2 import interface as reports
from wandb_workspaces.reports.v2 import internal as report_model
from wandb_workspaces.workspaces import internal as workspaces

from hmlpe.dashboard import write, write_dashboard
from hmlpe.errors import UserError

from .conftest import write_run

ROW = "row.value.name"
LINE, BAR, SCATTER, MEDIA = "Run History Line Plot", "Bar Chart", "Scatter Plot", "Media Browser"
WORKSPACE = {
    "Weight against both errors": [
        (SCATTER, "config:row.value.weights.detection", ["summary:test/regression_error"]),
        (SCATTER, "config:row.value.weights.detection", ["summary:test/detection_error"]),
        (BAR, ROW, ["test/regression_error", "train/regression_error"]),
        (BAR, ROW, ["test/detection_error", "train/detection_error"]),
    ],
    "Curves by row": [(LINE, ROW, ["val/regression_error"]), (LINE, ROW, ["val/detection_error"])],
    "PDJ": [
        (LINE, ROW, ["curve/test/pdj_modec_wrist"]),
        (LINE, ROW, ["val/pdj_modec_wrist@0.10", "val/pdj_modec_wrist@0.20"]),
        (BAR, ROW, ["test/pdj_modec_wrist@0.10", "test/pdj_modec_wrist@0.20"]),
    ],
    "PCP": [(BAR, ROW, ["test/pcp_strict_lower_arm"])],
    "Pose, in numbers": [(LINE, ROW, ["val/spread"])],
    "Part detectors": [(BAR, ROW, ["test/window_ap"])],
    "Pictures": [(MEDIA, None, ["media/poses"]), (MEDIA, None, ["media/part_maps"]), (MEDIA, None, ["media/filters"])],
    "Gradients at the trunk": [
        (LINE, ROW, ["train/gradient/norm_regression"]),
        (LINE, ROW, ["train/gradient/norm_detection"]),
        (LINE, ROW, ["train/gradient/cosine"]),
    ],
    "Losses and rates": [(LINE, ROW, ["train/total"]), (LINE, ROW, ["lr-AdamW/pg1", "lr-AdamW/pg2"])],
}


@pytest.fixture(autouse=True)
def no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's W&B run is tested on a real study, in tests/training."""
    monkeypatch.setattr(write, "send_table", lambda study, folder, *rest: folder)


def shape(panels: list[dict[str, Any]]) -> list[tuple[str, str | None, list[str]]]:
    """Of each panel its kind, what it is grouped by or drawn over, and what it shows."""
    found = []
    for panel in panels:
        config = panel["config"]
        shown = config.get("metrics") or config.get("mediaKeys") or [config["yAxis"]]
        found.append((panel["viewType"], config.get("groupBy") or config.get("xAxis"), shown))
    return found


def test_the_workspace_has_this_structure(outputs: Path) -> None:
    write_dashboard(outputs, "study", "hmlpe")
    text = (outputs / "study" / "dashboard" / "workspace.json").read_text()
    section = json.loads(text)["section"]
    found = {part["name"]: shape(part["panels"]) for part in section["panelBankConfig"]["sections"]}
    assert found == WORKSPACE and list(found) == list(WORKSPACE)
    lines = [panel["config"] for part in section["panelBankConfig"]["sections"] for panel in part["panels"]
             if panel["viewType"] == LINE]  # fmt: skip
    assert {line["xAxis"] for line in lines} == {"trainer/global_step", "curve/threshold"}
    assert {(line["groupAgg"], line["groupArea"]) for line in lines} == {("mean", "stddev")}
    (runs,) = section["runSets"]
    assert [(one["key"]["name"], one["op"], one["value"]) for one in runs["filters"]["filters"]] == [
        ("group", "=", "study"), ("jobType", "!=", "summary")]  # fmt: skip
    assert runs["grouping"] == [{"section": "config", "name": ROW}]
    workspaces.WorkspaceViewspec.model_validate_json(text)  # W&B's own model takes it


def test_the_report_has_the_table_and_the_same_panels(outputs: Path) -> None:
    write_dashboard(outputs, "study", "hmlpe")
    text = (outputs / "study" / "dashboard" / "report.json").read_text()
    spec = json.loads(text)
    headings = [block["children"][0]["text"] for block in spec["blocks"] if block["type"] == "heading"]
    assert headings == ["One line per run", *WORKSPACE]
    table, *grids = [block["metadata"] for block in spec["blocks"] if block["type"] == "panel-grid"]
    assert "study" in json.dumps(table["panelBankSectionConfig"]["panels"])
    assert [shape(grid["panelBankSectionConfig"]["panels"]) for grid in grids] == list(WORKSPACE.values())
    report_model.Spec.model_validate_json(text)


def test_the_same_runs_give_the_same_files(outputs: Path) -> None:
    found = []
    for _ in range(2):
        write_dashboard(outputs, "study", "hmlpe")
        found.append(
            [(outputs / "study" / "dashboard" / name).read_bytes() for name in ("workspace.json", "report.json")]
        )
    assert found[0] == found[1]


def test_a_metric_without_a_family_is_named(outputs: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(outputs / "study", "other", 0.5, ("val/regression_error", "val/renamed"))
    write_dashboard(outputs, "study", "hmlpe")
    (record,) = caplog.records
    assert record.getMessage() == "not on the dashboard, as no result says what they are: val/renamed"


def test_no_study_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such study folder"):
        write_dashboard(tmp_path, "study", "hmlpe")
    assert not list(tmp_path.iterdir())


class Service:
    """W&B's side of views and reports, by the queries of wandb-workspaces."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.default_entity = "me"
        self.client = self
        self.app_url = "https://wandb.test"
        self.fails: str | None = None  # what of its queries

    def projects(self, entity: str) -> list[Any]:
        return []

    def create_project(self, name: str, entity: str) -> None:
        pass

    def execute(self, api: object, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if self.fails is not None and self.fails in query + str(variables.get("type")):
            raise ConnectionError("no route\nto host")
        if "upsertView" in query:
            key = variables.get("id") or quote(uuid.uuid4().hex)
            assert not variables.get("id") or key in self.views
            project = {"id": "p", "name": variables["projectName"], "entityName": variables["entityName"]}
            self.views[key] = {**variables, "id": key, "project": project, "createdAt": None, "updatedAt": None}
            return {"upsertView": {"view": self.views[key], "inserted": True}}
        if "ProjectInternalId" in query:
            return {"project": {"id": "p", "internalId": "p"}}
        if "SpecificReport" in query:
            return {"view": self.views.get(variables["reportId"])}
        found = [view for view in self.views.values() if view["name"] == variables["viewName"]]
        return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    one = Service()
    monkeypatch.setattr(wandb, "Api", lambda: one)
    monkeypatch.setattr(workspaces, "execute_graphql", one.execute)
    monkeypatch.setattr(reports, "execute_graphql", one.execute)
    return one


def test_the_second_call_updates_view_and_report(outputs: Path, service: Service) -> None:
    first = write_dashboard(outputs, "study", "hmlpe", mode="online")
    assert "workspace: https://wandb.test/me/hmlpe?nw=" in first and len(service.views) == 2
    before = {key: view["spec"] for key, view in service.views.items()}
    write_run(outputs / "study", "det_10", 10.0, ("test_lsp/regression_error",))
    second = write_dashboard(outputs, "study", "hmlpe", mode="online")
    assert second.splitlines()[-2:] == first.splitlines()[-2:]
    assert service.views.keys() == before.keys()
    for key, view in service.views.items():
        assert "test_lsp/regression_error" in view["spec"] and "test_lsp" not in before[key]


def test_what_somebody_deleted_is_made_anew(outputs: Path, service: Service) -> None:
    first = write_dashboard(outputs, "study", "hmlpe", mode="online")
    service.views.clear()
    second = write_dashboard(outputs, "study", "hmlpe", mode="online")
    assert len(service.views) == 2 and second.splitlines()[-2:] != first.splitlines()[-2:]


def test_a_report_that_fails_does_not_make_the_view_twice(outputs: Path, service: Service) -> None:
    """Nor does another project take over the first one's."""
    service.fails = "runs"  # the type of reports
    with pytest.raises(UserError, match="no route to host"):
        write_dashboard(outputs, "study", "hmlpe", mode="online")
    assert len(service.views) == 1
    service.fails = None
    write_dashboard(outputs, "study", "hmlpe", mode="online")
    assert len(service.views) == 2
    write_dashboard(outputs, "study", "other", mode="online")
    assert len(service.views) == 4


def test_a_study_whose_name_ends_a_filter_is_refused(outputs: Path) -> None:
    with pytest.raises(UserError, match="study: it's: W&B's filters"):
        write_dashboard(outputs, "it's", "hmlpe")


def test_an_unreachable_service_is_one_line_and_keeps_the_specifications(outputs: Path, service: Service) -> None:
    service.fails = ""
    with pytest.raises(UserError, match="W&B: ConnectionError: no route to host; the specifications are in") as raised:
        write_dashboard(outputs, "study", "hmlpe", mode="online")
    assert "\n" not in str(raised.value)
    assert {path.name for path in (outputs / "study" / "dashboard").iterdir()} == {"workspace.json", "report.json"}
