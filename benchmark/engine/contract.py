"""What every model must do, whatever it is: one function a check, of a model of this package or of somebody else's.

``tests/models/test_contract.py`` runs them on every model here, ``python -m benchmark.check`` on the one it is told.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import torch
from torch import Tensor

from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.metrics import auroc
from benchmark.engine.pictures import generated_images
from benchmark.engine.score import QUANTITIES, Scoring, View, score_images
from benchmark.engine.subject import BATCH, Subject, require, require_near, require_same

__all__ = ["CHECKS", "IN_BRIEF", "OF_FLEETS", "Subject"]


def the_headline_is_a_named_score(subject: Subject) -> None:
    found, model = subject.scores(subject.fleet, subject.images)[0], subject.fleet.model
    require(tuple(found) == model.score_names, f"assess returns {', '.join(found)}, score_names has others")
    require(model.headline in found, f"headline {model.headline} is none of {', '.join(found)}")


def every_parameter_moves(subject: Subject) -> None:
    before = Fleet([subject.build(1)], subject.device)
    after, _ = subject.trained(subject.members[:1], epochs=1)
    for name, value in before.parameters.items():
        moved = name in after.model.frozen or not torch.equal(value, after.parameters[name])
        require(moved, f"{name} did not change in training and is not listed as frozen")


def every_parameter_belongs_to_a_phase(subject: Subject) -> None:
    model = subject.build(0)
    modules = {module for phase in model.phases for module in phase.modules} | set(model.frozen)
    for name, _ in model.named_parameters():
        require(name.split(".")[0] in modules, f"{name} is trained by no phase and is not listed as frozen")


def training_improves_what_it_is_for_on_normal_images(subject: Subject) -> None:
    """After training, held-out normal images score lower than at the start: are reconstructed better, for most.

    Where a model has no such score, its samples must have come nearer to these images. A model fitted in one call has
    no scores at the start: most images score lower than under the same model fitted to another class.
    """
    data, members = subject.data, subject.members
    held_out = data.test_images[data.test_labels == members[0][0]][:200]
    start = Fleet([subject.build(1)], subject.device)
    end, _ = subject.trained(members[:1], epochs=30)
    if not start.model.phases:
        other, _ = subject.trained(members[1:2])
        own, foreign = (subject.scores(fleet, held_out)[0][end.model.learnt] for fleet in (end, other))
        share = float((own < foreign).float().mean())
        require(share > 0.75, f"{end.model.learnt} of {share:.0%} of normal images only is below another class's")
        return
    first, last = (what_training_lowers(subject, fleet, held_out) for fleet in (start, end))
    what = end.model.learnt or "distance of samples"
    require(last < 0.8 * first, f"{what} of held-out normal images is {last:.4g} after training, {first:.4g} before")


def what_training_lowers(subject: Subject, fleet: Fleet, held_out: Tensor) -> float:
    model = fleet.model
    if model.learnt is not None:
        return float(subject.scores(fleet, held_out)[0][model.learnt].mean())
    model.load_state_dict(fleet.state(0))
    with torch.no_grad():
        noise = torch.randn(256, *model.sample_shape, generator=torch.Generator().manual_seed(0))
        samples = model.eval().sample(noise.to(fleet.device)).flatten(1).cpu()
    return float(torch.cdist(to_pixels(held_out).flatten(1), samples).square().min(1).values.mean())


def losses_are_recorded_and_finite(subject: Subject) -> None:
    fleet, training = subject.first
    require(training.diverged is None, f"it diverged: {training.diverged}")
    require(len(training.history) == (3 if fleet.model.phases else 0), "there is not one row of losses an epoch")
    for row in training.history:
        for name, value in row.items():
            require(bool(torch.isfinite(torch.tensor(value))), f"{name} is {value} in epoch {row['epoch']}")
        require(len(row) > 2, "loss returns no quantities to log")


def scores_are_finite_and_not_constant(subject: Subject) -> None:
    for name, values in subject.scores(subject.fleet, subject.images)[0].items():
        require(values.shape == (len(subject.images),), f"{name} has shape {tuple(values.shape)}, not one an image")
        require(bool(torch.isfinite(values).all()), f"{name} is not finite")
        require(float(values.std()) > 0, f"{name} is the same for every image")


def what_it_says_of_images_has_their_shape(subject: Subject) -> None:
    images, model = subject.images, subject.fleet.model
    view, wanted = View(torch.arange(len(images)), 11), ("scores", *QUANTITIES, "code", "reconstruction")
    (found,) = score_images(subject.fleet, images, [view], Scoring(256), wanted)
    count = len(images)
    shapes = {name: (tuple(values.shape), (count,)) for name, values in found.quantities.items()}
    if found.reconstruction is not None:
        shapes["reconstruction"] = tuple(found.reconstruction.shape), tuple(images.shape)
    if found.code is not None:
        shapes["code"] = tuple(found.code.shape[:1]), (count,)
    if model.sample_shape or found.code is not None:
        drawn = generated_images(model, found.code, 2, 0, subject.fleet.decoder(0))
        if drawn is not None:
            shapes["a sample"] = tuple(drawn.shape), (2, *images.shape[1:])
    for name, (shape, expected) in shapes.items():
        require(shape == expected, f"{name} of {count} images has shape {shape}, not {expected}")


def scores_are_the_same_when_asked_twice(subject: Subject) -> None:
    first, second = (subject.scores(subject.fleet, subject.images)[0] for _ in range(2))
    require_same(first, second, "is another number when asked again: scoring must draw no random numbers")


def scores_do_not_depend_on_the_batch(subject: Subject) -> None:
    images = subject.images[:24]
    together, alone = (subject.scores(subject.fleet, images, batch)[0] for batch in (256, 1))
    require_near(together, alone, "of an image depends on the others of its batch")


def scores_do_not_depend_on_the_order(subject: Subject) -> None:
    order = torch.randperm(len(subject.images), generator=torch.Generator().manual_seed(0))
    plain, shuffled = (subject.scores(subject.fleet, subject.images, 16, index)[0] for index in (None, order))
    require_near(
        {name: values[order] for name, values in plain.items()}, shuffled, "depends on the order of the images"
    )


def scores_survive_saving_and_loading(subject: Subject) -> None:
    file = io.BytesIO()
    torch.save(subject.fleet.state(0), file)
    file.seek(0)
    model = subject.build(99)
    model.load_state_dict(torch.load(file, weights_only=True))
    again = Fleet([model], subject.device)
    kept, loaded = (subject.scores(fleet, subject.images)[0] for fleet in (subject.fleet, again))
    require_same(
        kept, loaded, "is another number after saving and loading: what is learnt must be parameters and buffers"
    )


def scoring_changes_nothing(subject: Subject) -> None:
    before = subject.fleet.state(0)
    subject.scores(subject.fleet, subject.images)
    require_same(before, subject.fleet.state(0), "was changed by scoring")


def equal_seeds_give_equal_scores_and_others_others(subject: Subject) -> None:
    label, seed = subject.members[0]
    fleets = (subject.fleet, *(subject.trained([(label, each)])[0] for each in (seed, seed + 1)))
    one, again, other = (subject.scores(fleet, subject.images)[0] for fleet in fleets)
    require_same(one, again, "is another number in a second training with the same seed")
    differs = any(not torch.equal(one[name], other[name]) for name in one)
    random = subject.fleet.model.random
    require(differs == random, f"random is {random}, but another seed gives {'other' if differs else 'equal'} scores")


def a_cell_sees_only_its_own_images(subject: Subject) -> None:
    """Changing every image of other classes changes nothing."""
    member = subject.members[0]
    spoiled = subject.data.train_images.clone()
    spoiled[subject.data.train_labels != member[0]] = 255
    states = [subject.trained([member], 1, images)[0].state(0) for images in (subject.data.train_images, spoiled)]
    require_same(*states, "depends on images of other classes")


def a_fleet_gives_what_its_cells_give_alone(subject: Subject) -> None:
    """Three cells as one program against one by one: scores within 2% for 95% of the images, AUROC within 0.005
    over the three.

    The bound is loose because Adam and AnoGAN's search magnify rounding; the per-step losses below are tight.
    """
    members = subject.members[:3]
    images, labels = subject.data.test_images[:200], subject.data.test_labels[:200]
    found = subject.scores(subject.trained(members, epochs=2)[0], images)
    differences: dict[str, list[float]] = {name: [] for name in found[0]}
    for i, member in enumerate(members):
        for name, values in subject.scores(subject.trained([member], epochs=2)[0], images)[0].items():
            near = float(torch.isclose(found[i][name], values, rtol=2e-2, atol=2e-2).float().mean())
            require(near >= 0.95, f"{name} of cell {i} is the same for {near:.0%} of the images only")
            anomalous = (labels != member[0]).numpy()
            differences[name].append(auroc(anomalous, found[i][name].numpy()) - auroc(anomalous, values.numpy()))
    for name, each in differences.items():
        require(abs(sum(each) / len(each)) < 0.005, f"AUROC of {name} differs by {sum(each) / len(each):.4f}")


def losses_in_a_fleet_are_those_alone(subject: Subject) -> None:
    """Ten steps, each an epoch of its own, within 1e-5 relative, trained as the runner trains on a CPU.

    Convolutions are never stacked there, and round otherwise when they are: then more steps are further apart.
    """
    how = {"epochs": 10, "epoch_size": BATCH, "in_company": True}
    together = [training.history for training in subject.trained(subject.members, **how)[1]]
    for i, member in enumerate(subject.members[1:3], 1):
        alone = subject.trained([member], **how)[1][0].history
        for ours, row in zip(together[i], alone, strict=True):
            for name, value in row.items():
                near = abs(ours[name] - value) <= max(1e-6, 1e-5 * abs(value))
                require(near, f"{name} of step {row['epoch']} is {ours[name]} in a fleet and {value} alone")


def products_in_bf16_train_as_fp32_does(subject: Subject) -> None:
    """An epoch's means are near those of fp32, and the scores rank the images alike; parameters stay in fp32."""
    members, index = subject.members[:2], torch.arange(60)
    (exact, one), (rough, two) = (subject.trained(members, 1, precision=p) for p in ("fp32", "bf16"))
    for name, value in rough.parameters.items():
        require(value.dtype == torch.float32, f"{name} is {value.dtype}")
    for name, value in (one[0].history[-1] if one[0].history else {}).items():
        found = two[0].history[-1][name]
        require(abs(found - value) <= max(0.02, 0.1 * abs(value)), f"{name} is {found} in bf16 and {value} in fp32")
    ours, plain = (
        subject.scores(exact, subject.data.test_images, 30, index, precision)[0] for precision in ("bf16", "fp32")
    )
    for name, values in plain.items():
        ranks = torch.stack([ours[name], values]).argsort(1).argsort(1).float()
        require(ours[name].dtype == torch.float32, f"{name} is {ours[name].dtype}")
        require(float(torch.corrcoef(ranks)[0, 1]) > 0.9, f"{name} ranks the images otherwise in bf16")


CHECKS: tuple[Callable[[Subject], None], ...] = (
    the_headline_is_a_named_score,
    every_parameter_moves,
    every_parameter_belongs_to_a_phase,
    training_improves_what_it_is_for_on_normal_images,
    losses_are_recorded_and_finite,
    scores_are_finite_and_not_constant,
    what_it_says_of_images_has_their_shape,
    scores_are_the_same_when_asked_twice,
    scores_do_not_depend_on_the_batch,
    scores_do_not_depend_on_the_order,
    scores_survive_saving_and_loading,
    scoring_changes_nothing,
    equal_seeds_give_equal_scores_and_others_others,
    a_cell_sees_only_its_own_images,
)
IN_BRIEF: tuple[Callable[[Subject], None], ...] = (
    the_headline_is_a_named_score,
    every_parameter_belongs_to_a_phase,
    scores_are_finite_and_not_constant,
    what_it_says_of_images_has_their_shape,
    scores_are_the_same_when_asked_twice,
    scores_do_not_depend_on_the_batch,
    scores_survive_saving_and_loading,
)  # of every model on large images in colour too
OF_FLEETS: tuple[Callable[[Subject], None], ...] = (
    a_fleet_gives_what_its_cells_give_alone,
    losses_in_a_fleet_are_those_alone,
    products_in_bf16_train_as_fp32_does,
)  # of models that may train as fleets of several cells
