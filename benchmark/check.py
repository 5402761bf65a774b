"""The checks that every model here passes, run on one: ``python -m benchmark.check [--config-dir=DIR] model=NAME ...``.

Further settings are those of ``python -m benchmark``: ``model.latent=4``, or ``dataset=...`` (default: digits).
A line a check; exit code 1 if one fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from benchmark.config import UsageError
from benchmark.say import named
from benchmark.sweep.signals import ends_in_order


@ends_in_order("check")
def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 if a check failed, 2 for a wrong argument."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or any(argument in ("-h", "--help") for argument in arguments):
        print((__doc__ or "").strip())
        return 0 if arguments else 2
    try:
        config = _config(arguments)
        return _run(config)
    except UsageError as error:
        print(f"check: {error}", file=sys.stderr)
        return 2


def _config(arguments: list[str]) -> Any:
    """The checked configuration of the one model. Raises ``UsageError``."""
    from benchmark.sweep.compose import compose_jobs

    if not any(argument.startswith("dataset=") for argument in arguments):
        arguments = [*arguments, "dataset=digits"]
    jobs = compose_jobs(arguments)
    if len(jobs) != 1:
        raise UsageError(f"{len(jobs)} models are one too many. Type for example: python -m benchmark.check model=vae")
    return jobs[0].config


def _run(config: Any) -> int:
    import torch
    from torch import nn

    from benchmark.data.files import data_dir
    from benchmark.data.images import load_images
    from benchmark.engine.contract import CHECKS, OF_FLEETS, Subject
    from benchmark.models import model_class
    from benchmark.models.refusals import arguments_of
    from benchmark.sweep.job import lay_out_job

    config = lay_out_job(config).config  # refuses what cannot be built
    torch.set_num_threads(1)
    data = load_images(config.dataset, data_dir(config.data_dir))

    def build(seed: int) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return model_class(config.model._target_)(data.image_shape, **arguments_of(config.model))

    model = build(0)
    subject = Subject(build, data, any(isinstance(module, nn.Conv2d) for module in model.modules()))
    checks = [*CHECKS, *(OF_FLEETS if model.vmappable else ())]
    failed = sum(not _passed(check, subject) for check in checks)
    print(f"{config.model.name}: {len(checks) - failed} of {len(checks)} checks passed")
    return 1 if failed else 0


def _passed(check: Callable[[Any], None], subject: Any) -> bool:
    """Run a check and say in a line what came of it."""
    name = check.__name__.replace("_", " ")
    try:
        check(subject)
    except AssertionError as error:
        print(f"failed  {name}: {error}", flush=True)
    except Exception as error:  # of the model itself
        print(f"failed  {name}: {named(error)}", flush=True)
    else:
        print(f"passed  {name}", flush=True)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
