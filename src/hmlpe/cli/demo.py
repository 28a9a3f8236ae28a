"""hmlpe-demo: a local page to try a network on photos."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from hmlpe.address import listen
from hmlpe.cli.app import run_app
from hmlpe.errors import UserError, install_command


def demo(config: DictConfig) -> None:
    """Serve a local web page on which a user can try the configured network on photos, until Ctrl-C."""
    from hmlpe.detect.build import build_detector
    from hmlpe.predict.demo.finder import Finder
    from hmlpe.predict.demo.markup import STYLE
    from hmlpe.predict.demo.serve import gradio_environment, serve
    from hmlpe.predict.demo.view import Viewer
    from hmlpe.predict.open import open_estimator, parse_trust
    from hmlpe.settings import to_plain_containers

    if find_spec("gradio") is None:
        raise UserError(f"hmlpe-demo needs gradio, which is not installed: {install_command('demo')}")
    if OmegaConf.is_missing(config, "checkpoint") or config.checkpoint is None:
        raise UserError("checkpoint: is not given; for example checkpoint=model.onnx")
    with listen(config.host, config.port) as held, gradio_environment():
        estimator = open_estimator(Path(str(config.checkpoint)), str(config.device), trust=parse_trust(config.trust))
        if estimator.card.no_factors_warning:
            print(estimator.card.no_factors_warning, flush=True)
        finder = Finder(
            build_detector(to_plain_containers(config.detector), estimator.card.factors_or_identity), estimator
        )
        from hmlpe.predict.demo.page import build_page  # in the session: gradio reads its settings when imported

        serve(build_page(Viewer(finder)), STYLE, held, bool(config.open))


def main() -> None:
    """Run the console script hmlpe-demo."""
    run_app("demo", demo)


if __name__ == "__main__":
    main()
