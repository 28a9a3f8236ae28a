"""hmlpe-demo says in one line what it lacks, before it loads anything that takes long."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import hmlpe.cli.demo as program
from hmlpe.address import listen
from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.predict.demo.finder import Finder


def config(**settings: Any) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("demo", overrides=[f"{name}={value}" for name, value in {"port": 0, **settings}.items()])


def test_a_missing_gradio_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gradio.*pip install -c constraints.txt -e '.\[demo\]'"):
        program.demo(config(checkpoint="model.ckpt"))


def test_a_missing_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^checkpoint: is not given"):
        program.demo(config())
    with pytest.raises(UserError, match="no such file"):
        program.demo(config(checkpoint=tmp_path / "model.ckpt"))


def test_a_taken_port_is_said_before_the_checkpoint_is_read(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}: "):
            program.demo(config(checkpoint=tmp_path / "model.ckpt", port=port))


def test_it_serves_this_machine_alone_unless_told_otherwise() -> None:
    assert config().host == "127.0.0.1"
    assert config().open is False


def test_a_detector_that_needs_the_networks_factors_gets_them(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[Finder]()
    monkeypatch.setattr("hmlpe.predict.demo.view.Viewer", seen.append)
    monkeypatch.setitem(sys.modules, "hmlpe.predict.demo.page", SimpleNamespace(build_page=lambda viewer: None))
    monkeypatch.setattr("hmlpe.predict.demo.serve.serve", lambda *args: None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    program.demo(config(checkpoint=checkpoint, detector="whole"))
    (finder,) = seen
    (person,) = finder("a.png", np.zeros((60, 80, 3), np.uint8)).people
    assert np.allclose(person.box_px, [-0.5, -0.5, 79.5, 59.5])
