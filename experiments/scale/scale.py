"""How the tools grow with the number of runs: a sweep's start, the report and its page, over finished tiny runs.

    .venv/bin/python experiments/scale/scale.py experiments/scale/scale.csv 100 300 1000

One run of the embedded people is trained; its folder is copied under the name, settings and identity of each other
run, 50 weights by as many seeds as that takes, so that the sweep knows all of them as finished. Then, for each number:

- start: `hmlpe-train -m` of the same study, from the command to its end, as nothing is left to do;
- report: `hmlpe-report` of the study, its seconds, its largest process, and the size of report.html.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydra import compose, initialize_config_dir
from tqdm import tqdm

from hmlpe.cli.command_line import CONFIGS
from hmlpe.files import read_json, write_json_atomic, write_text_atomic
from hmlpe.runs.folder import RESULT, read_result_json, write_config
from hmlpe.text_table import csv_text
from hmlpe.training.provenance import run_identity
from hmlpe.training.settings import TrainSettings

WEIGHTS = [round(0.001 * 1.25**step, 6) for step in range(50)]
TINY = ["logger=csv", "epochs=2", "data.source.train=200", "data.source.test=100", "trainer.threads=1"]
HEADER = ("runs", "start_s", "start_peak_MB", "report_s", "report_peak_MB", "page_MB")
BIN = Path(sys.executable).parent


def words_of(folder: Path, count: int) -> list[str]:
    """The command line of a study with so many runs."""
    paths = [f"paths.data={folder / 'data'}", f"paths.outputs={folder}", f"study=runs_{count}"]
    return [*paths, *TINY, "hydra/launcher=isolated"]


def make_runs(folder: Path, count: int) -> None:
    """Fill the study's folder with finished runs: copies of the one in `single`, as their settings call them."""
    study, pack = folder / f"runs_{count}", read_json(folder / "data" / "embedded" / "manifest.json")
    trained = next((folder / "single").glob("*_s1"))
    result = read_result_json(trained)
    seeds = range(1, count // len(WEIGHTS) + 1)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        for weight, seed in tqdm([(weight, seed) for weight in WEIGHTS for seed in seeds], desc=f"{count} runs"):
            words = [*words_of(folder, count), f"row.weights.detection={weight}", f"seed={seed}"]
            settings = TrainSettings.from_config(compose("train", words))
            own = study / f"{settings.row.name}_s{seed}"
            shutil.copytree(trained, own, copy_function=os.link)
            identity = run_identity(settings, str(pack["digest"]))
            (own / RESULT).unlink()
            made = {"row": settings.row.name, "seed": seed, "experiment": settings.study, "weights": settings.weights}
            made |= {"identity": identity, "provenance": result["provenance"] | {"config": identity["config"]}}
            write_json_atomic(own / RESULT, result | made)
            (own / "config.yaml").unlink()
            write_config(own, settings.tree)


def timed(words: list[str]) -> tuple[float, float, str]:
    """Seconds and peak megabytes of a command, and what it said; the peak is of its largest process."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        said.seek(0)
        text = said.read().decode()
    if status:
        sys.exit(f"{' '.join(words)}:\n{text[-2000:]}")
    return seconds, used.ru_maxrss / 1024, text


def main(out: Path, counts: list[int]) -> None:
    """Measure the studies and write the csv."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = words_of(folder, 0)[:2]
        pack = [word for word in TINY if word.startswith("data.")]
        timed([str(BIN / "hmlpe-prepare"), *pack, paths[0]])
        timed([str(BIN / "hmlpe-train"), *TINY, *paths])
        for count in counts:
            make_runs(folder, count)
            seeds = f"seed=range(1,{count // len(WEIGHTS) + 1})"
            weights = f"row.weights.detection={','.join(map(str, WEIGHTS))}"
            start = timed([str(BIN / "hmlpe-train"), "-m", *words_of(folder, count), weights, seeds])
            if f"{count} already finished" not in start[2]:
                sys.exit(f"the sweep does not know its runs:\n{start[2][-2000:]}")
            report = timed([str(BIN / "hmlpe-report"), f"study=runs_{count}", paths[1]])
            page = (folder / f"runs_{count}" / "report.html").stat().st_size / 2**20
            rows.append([count, *(f"{x:.1f}" for x in (*start[:2], *report[:2], page))])
            print(*(f"{name} {value}" for name, value in zip(HEADER, rows[-1], strict=True)), sep=", ", flush=True)
    write_text_atomic(out, csv_text(HEADER, rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]])
