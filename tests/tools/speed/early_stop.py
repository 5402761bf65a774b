"""What ending AnoGAN's search early saves and changes: ``python -m tests.tools.speed.early_stop``.

Trains AnoGAN as shipped on MNIST class 3 (seed 0) and scores 3,000 test images with several patiences, one thread.
"""

from __future__ import annotations

import time

import torch

from benchmark.engine.fleet import Fleet
from benchmark.engine.metrics import auroc
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.train import Member, train_in_company
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import prepare_job
from benchmark.sweep.run import build_model

IMAGES = 3000
SEARCHES = ((40, (0, 2, 5)), (200, (0, 5, 10)))  # steps, patiences


def main() -> None:
    torch.set_num_threads(1)
    job = prepare_job(compose_jobs(["model=anogan", "dataset=mnist", "split.normal_class=3", "device=cpu"])[0].config)
    (cell,) = job.cells
    member = Member(cell.split.train_index, cell.stream("order"), cell.stream("noise"))
    fleet = Fleet([build_model(job, cell)])
    train_in_company(fleet, job.images["train"], [member], job.settings)
    anomalous = cell.split.eval_label[:IMAGES].numpy()
    print("| steps | patience | share of the plain search's time | AUROC | scores change by at most |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for steps, patiences in SEARCHES:
        plain, seconds = torch.empty(0), 1.0
        for patience in patiences:
            fleet.model.search_steps, fleet.model.search_patience = steps, patience
            start = time.perf_counter()
            view = View(cell.split.eval_index[:IMAGES], cell.stream("score"))
            (found,) = score_images(fleet, job.images["test"], [view], Scoring(500), ("scores",))
            took, total = time.perf_counter() - start, found.scores["total"]
            if patience == 0:
                plain, seconds = total, took
            change = float(((total - plain).abs() / plain).max())
            value = auroc(anomalous, total.numpy())
            print(f"| {steps} | {patience} | {took / seconds:.2f} | {value:.5f} | {change:.1e} |")


if __name__ == "__main__":
    main()
