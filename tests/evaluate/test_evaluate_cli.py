"""hmlpe-evaluate as a user types it, on a tiny network and generated people."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.cli.evaluate import evaluate_all
from hmlpe.data.collection import build_data_sets
from hmlpe.errors import UserError
from hmlpe.evaluate.people import annotated_test_people, truth_of
from hmlpe.settings import DataSettings

from ..programs import finish, of_packs
from .conftest import CONF

SET = ["data.source.train=40", "data.source.test=10"]
TINY = [
    *SET,
    "network=slim",
    "network.head.hidden=[16,16]",
    "network.trunk.stages=[{maps: 2, kernel: 9, relu: true}]",
    "optim.batch_size=8",
    "trainer.threads=1",
    "epochs=1",
    "logger=csv",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    finish("prepare", *of_packs(*SET), "prepare.sheet=0", folder=folder)
    finish("train", *TINY, folder=folder)
    return folder


def checkpoint(folder: Path) -> Path:
    return folder / "outputs" / "single" / "det_0.1_s1" / "checkpoints" / "model.ckpt"


def configured(folder: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(
            "evaluate",
            [*SET, f"paths.data={folder}/data", f"paths.outputs={folder}/outputs", "trainer.progress=none", *overrides],
        )


def records(out: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*.json"))}


def test_a_checkpoint_has_the_numbers_of_its_run(trained: Path) -> None:
    """Another code path than training's own evaluation; the same people, to 1e-6."""
    said = finish("evaluate", f"checkpoint={checkpoint(trained)}", *SET, "bootstrap.draws=50", folder=trained)
    result = json.loads((checkpoint(trained).parents[1] / "result.json").read_text())
    out = trained / "outputs" / "evaluation" / "embedded"
    found = records(out)
    assert set(found) == {"single-det_0.1_s1__given__whole", "mean-pose__given__whole"}
    for name, wanted in (
        ("single-det_0.1_s1__given__whole", result["metrics"]["test"]),
        ("mean-pose__given__whole", result["mean_pose"]["test"]),
    ):
        scores = {key: value for key, (value, _, _) in found[name]["scores"].items()}
        shared = [key for key in scores if key in wanted]
        assert {"pdj_modec_wrist@0.20", "pdj_modec_elbow_auc", "pcp_strict_lower_arm"} <= set(shared)
        assert [scores[key] for key in shared] == pytest.approx([wanted[key] for key in shared], abs=1e-6)
    assert set(found["single-det_0.1_s1__given__whole"]["ranking"]) == {"elbow", "wrist"}
    with (out / "table.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)] == ["mean pose", "single/det_0.1_s1"]
    assert (out / "curves.png").is_file() and "pdj_modec_wrist@0.20" in said and f"{Path('outputs')}" in said
    assert not list(trained.glob("*.log"))


def test_other_methods_stand_beside_it(trained: Path, tmp_path: Path) -> None:
    """The truth itself as a csv, but for one wrist."""
    config = configured(trained)
    people = annotated_test_people(build_data_sets(DataSettings.from_config(config.data, "data"))[0][0])
    truth = truth_of(people, instantiate(config.skeleton), "image", True)
    lines = ["image,person,joint,x,y"]
    for image, joints in zip(truth.images, truth.joints_px, strict=True):
        for name, (x, y) in zip(truth.skeleton.joints, joints, strict=True):
            off = 1000 if name == "left_wrist" and image == truth.images[0] else 0
            lines += [f"{image},1,{name},{float(x) + off!r},{float(y)!r}"] if np.isfinite([x, y]).all() else []
    (tmp_path / "other.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    few = ["bootstrap.draws=20", f"out={out}"]
    evaluate_all(configured(trained, f"predictions={tmp_path / 'other.csv'}", "method=Others 2020", *few))
    evaluate_all(configured(trained, f"checkpoint={checkpoint(trained)}", *few))
    found = records(out / "embedded")["Others-2020__its-own__whole"]["scores"]
    known = int(np.isfinite(truth.joints_px[:, truth.skeleton.indices(["left_wrist", "right_wrist"])]).all(-1).sum())
    assert found["pdj_modec_elbow@0.05"][0] == 1
    assert found["pdj_modec_wrist@0.20"][0] == pytest.approx(1 - 1 / known)
    text = (out / "embedded" / "table.md").read_text()
    assert "| Others 2020 | its own |" in text and "| single/det_0.1_s1 | given |" in text


def test_validation_people_are_not_test_people(trained: Path, tmp_path: Path) -> None:
    few = ["bootstrap.draws=20", f"out={tmp_path}", f"checkpoint={checkpoint(trained)}"]
    evaluate_all(configured(trained, "split=val", "zoom=0.875", *few))
    result = json.loads((checkpoint(trained).parents[1] / "result.json").read_text())
    found = records(tmp_path / "embedded_val")
    assert set(found) == {"single-det_0.1_s1__given-x-0.875__whole", "mean-pose__given__whole"}
    assert {one["counted"] for one in found.values()} == {result["people"]["val"]}


def test_another_zoom_looks_into_the_images_of_the_pack_and_no_others(trained: Path, tmp_path: Path) -> None:
    few = ["bootstrap.draws=20", "data.subset=4", f"out={tmp_path}", f"checkpoint={checkpoint(trained)}"]
    evaluate_all(configured(trained, "zoom=1.5", *few))
    assert "single-det_0.1_s1__given-x-1.5__whole" in records(tmp_path / "embedded")
    with pytest.raises(UserError, match=r"zoom.*prepared from others.*data\.root"):
        evaluate_all(configured(trained, "zoom=1.4", "data.source.seed=7", *few))


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ([], "checkpoint=PATH"),
        (["checkpoint=a.ckpt", "predictions=b.csv"], "either"),
        (["checkpoint=missing.ckpt"], "missing.ckpt"),
        (["predictions=missing.csv"], "missing.csv"),
        (["checkpoint=x", "people=some"], "people"),
        (["checkpoint=x", "people=[]"], "people"),
        (["checkpoint=x", "split=train"], "split"),
        (["checkpoint=x", "zoom=20"], "zoom"),
        (["checkpoint=x", "zoom=true"], "zoom"),
        (["predictions=x", "zoom=0.9"], "zoom"),
        (["predictions=x", "split=val"], "split"),
        (["predictions=x", "detector=cascade"], "detector"),
        (["checkpoint=x", "batch_size=0"], "batch_size"),
        (["checkpoint=x", "bootstrap.draws=0"], "bootstrap.draws"),
        (["checkpoint=x", "bootstrap.level=95"], "bootstrap.level"),
        (["checkpoint=x", "bootstrap.level=high"], "bootstrap.level"),
        (["checkpoint=x", "bootstrap.seed=-1"], "bootstrap.seed"),
        (["checkpoint=x", "method=5"], "method"),
        (["checkpoint=x", "method=''"], "method"),
        (["checkpoint=5"], "checkpoint"),
        (["predictions=7"], "predictions"),
        (["checkpoint=x", "out=null"], "out"),
        (["checkpoint=x", "overwrite=maybe"], "overwrite"),
        (["checkpoint=x", "data.subset=-3"], "data.subset"),
        (["checkpoint=x", "data.subset=abc"], "data.subset"),
        (["predictions=x", "data.subset=3"], "data.subset"),
        (["checkpoint=x", "trainer.threads=abc"], "trainer.threads"),
        (["checkpoint=x", "confidence.at=x"], "confidence.at"),
    ],
)
def test_settings_that_cannot_work_are_refused(trained: Path, overrides: list[str], word: str) -> None:
    with pytest.raises(UserError) as raised:
        evaluate_all(configured(trained, *overrides))
    assert word in str(raised.value) and "\n" not in str(raised.value)


def test_where_nothing_can_be_written_is_said_before_anything_is_scored(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"out: .*file"):
            evaluate_all(configured(trained, f"checkpoint={checkpoint(trained)}", f"out={out}"))


def test_some_people_do_not_replace_all(trained: Path, tmp_path: Path) -> None:
    few = [f"checkpoint={checkpoint(trained)}", f"out={tmp_path}", "bootstrap.draws=5"]
    evaluate_all(configured(trained, *few))
    with pytest.raises(UserError, match="another subset"):
        evaluate_all(configured(trained, *few, "data.subset=4"))
    assert {one["counted"] for one in records(tmp_path / "embedded").values()} == {10}
    evaluate_all(configured(trained, *few, "data.subset=4", "overwrite=true"))
    found = records(tmp_path / "embedded")["single-det_0.1_s1__given__whole"]
    assert found["counted"] == 4 and found["without_image"] == 0 and "first 4" in found["notes"]


def truth_lines(config: DictConfig) -> list[str]:
    """The set's own test people as a csv."""
    truth = truth_of(
        annotated_test_people(build_data_sets(DataSettings.from_config(config.data, "data"))[0][0]),
        instantiate(config.skeleton),
        "image",
        True,
    )
    return ["image,person,joint,x,y"] + [
        f"{image},1,{name},{float(x)!r},{float(y)!r}"
        for image, joints in zip(truth.images, truth.joints_px, strict=True)
        for name, (x, y) in zip(truth.skeleton.joints, joints, strict=True)
        if np.isfinite([x, y]).all()
    ]


def test_a_record_that_does_not_fit_poisons_no_folder(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of other sides, labels, protocol or interval: refused before anybody is asked; the next valid call goes well."""
    table = tmp_path / "other.csv"
    table.write_text("\n".join([*truth_lines(configured(trained)), ""]))
    few = [f"out={tmp_path}/out", "bootstrap.draws=5"]
    file, network = f"predictions={table}", f"checkpoint={checkpoint(trained)}"
    evaluate_all(configured(trained, file, *few))
    held = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    mine = [file, "method=mine"]
    others = (
        (mine, "data.sides=person"),
        (mine, "protocol.pcp_strict.threshold=0.4"),
        ([network], "bootstrap.level=0.9"),
    )
    capsys.readouterr()
    with monkeypatch.context() as nobody:
        for method in ("estimate_in_given_boxes", "read_predictions", "estimate_mean_pose"):
            nobody.setattr(f"hmlpe.evaluate.cases.{method}", lambda *_: pytest.fail("asked before it was refused"))
        for given, other in others:
            with pytest.raises(UserError, match=r"out=\.\.\.") as raised:
                evaluate_all(configured(trained, *given, *few, other))
            assert "\n" not in str(raised.value)
    assert not capsys.readouterr().out
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == held
    evaluate_all(configured(trained, *mine, *few))


def test_what_is_odd_about_a_file_is_said_and_kept(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = truth_lines(configured(trained))
    swapped = [line.replace("left_", "*").replace("right_", "left_").replace("*", "right_") for line in lines]
    for name, rows in (("good", lines), ("swapped", swapped)):
        (tmp_path / f"{name}.csv").write_text("\n".join([*rows, ""]))
        evaluate_all(
            configured(trained, f"predictions={tmp_path / name}.csv", f"out={tmp_path}/out", "bootstrap.draws=5")
        )
        said = capsys.readouterr().out
        assert ("warning: left and right seem to be exchanged" in said) == (name == "swapped")
        (record,) = (one for key, one in records(tmp_path / "out" / "embedded").items() if key.startswith(name))
        assert len(record["warnings"]) == (name == "swapped")
    text = (tmp_path / "out" / "embedded" / "table.md").read_text()
    assert "**swapped (its own): left and right seem" in text and "**good" not in text


@pytest.mark.real
def test_joints_that_mean_something_else_elsewhere_are_explained(
    real_data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LSP has a head top; the head that is scored is another point."""
    import scipy.io

    if not (real_data / "lsp").is_dir():
        pytest.skip("no real LSP")
    joints = scipy.io.loadmat(real_data / "lsp" / "joints.mat")["joints"][:2, :, 1000:]
    scipy.io.savemat(tmp_path / "own.mat", {"pred": joints})
    words = [
        f"predictions={tmp_path}/own.mat",
        f"out={tmp_path}/out",
        "bootstrap.draws=2",
        f"data.root={real_data}/lsp",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        evaluate_all(compose("evaluate", ["data=lsp", "predictions_form=lsp_joints", "data.sides=person", *words]))
    said = capsys.readouterr().out
    assert "head is the middle of neck and head top here" in said and "warning" not in said
    scores = records(tmp_path / "out" / "lsp")["own__its-own__whole"]["scores"]
    assert scores["pdj_modec_head@0.20"][0] == scores["pcp_strict_upper_arm"][0] == 1


def test_what_is_no_checkpoint_is_refused_unread(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.ckpt"
    path.write_text("not a checkpoint")
    with pytest.raises(UserError, match=r"text\.ckpt"):
        evaluate_all(configured(trained, f"checkpoint={path}", f"out={tmp_path}/out"))
    assert not list((tmp_path / "out").iterdir())
