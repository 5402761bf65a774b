"""Whether what was chosen lies at an edge of what was compared: then a wider list may choose otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.report.choice import Choice
from benchmark.report.measures.swept import as_shipped, settings

LEAST = 3  # values of a setting: of two each is an edge


def edges(choice: Choice) -> Iterator[str]:
    """The numbers of the chosen setting that are the smallest or largest compared, such as ``latent=8, smallest of 4``.

    What a setting does not name is as in the model's YAML, and was compared too.
    """
    compared = [settings(setting) for setting in dict.fromkeys(one.setting for one in choice.candidates)]
    chosen = settings(choice.chosen.setting)
    for key in sorted({key for setting in compared for key in setting}):
        shipped = as_shipped(choice.model, key)
        values = {value for setting in compared if (value := setting.get(key, shipped)) is not None}
        here = chosen.get(key, shipped)
        if len(values) >= LEAST and here in (min(values), max(values)):
            yield f"{key}={here:g}, {'smallest' if here == min(values) else 'largest'} of {len(values)}"


def edges_note(choices: Sequence[Choice]) -> list[str]:
    """What a table of choices says of those at an edge, a note or none."""
    found = [f"{one.model} ({'; '.join(said)})" for one in choices if (said := list(edges(one)))]
    told = "Chosen at an edge of what was compared, so that a wider list may choose otherwise: "
    return [f"{told}{', '.join(found)}."] if found else []
