"""Models by family: the order of the navigation and a filter of the leaderboard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FAMILIES = {  # of models, as the navigation and the leaderboard sort them
    "Floors": ("histogram", "mean_image", "pca"),
    "Autoencoders": ("ae", "vae", "aae", "cond_aae", "lstm_ae", "conv_lstm_ae"),
    "GANs": ("gan", "anogan", "fanogan"),
    "Densities and diffusion": ("flow", "diffusion", "gmm", "kde"),
    "Without generating": ("deep_svdd", "geom", "iforest", "knn", "ocsvm"),
}
OTHER = "Others"  # a model that is in no family


def family_of(model: str) -> str:
    """The family of a model of this project, or OTHER.

    >>> family_of("vae"), family_of("mine")
    ('Autoencoders', 'Others')
    """
    return next((family for family, members in FAMILIES.items() if model in members), OTHER)


def models_page(pages: Mapping[str, str]) -> str:
    """The list of models by family: what each is called, and the first sentences of its page."""
    lines = [
        "# Models",
        "",
        "One page each: objective, scores, metrics, differences from the papers, where it fails, what was obtained.",
    ]
    for family, models in by_family(pages).items():
        lines += ["", f"## {family}", ""]
        for model in models:
            title, _, rest = pages[f"docs/models/{model}.md"].partition("\n")
            lines.append(f"- [{title.removeprefix('# ')}]({model}.md) (`{model}`): {_first_words(rest)}")
    return "\n".join(lines) + "\n"


def with_sources(pages: Mapping[str, str]) -> dict[str, str]:
    """The pages of models that have one here, each with a last line that leads to its code and its settings."""
    found = {}
    for models in by_family(pages).values():
        for model in models:
            code, settings = f"benchmark/models/{model}.py", f"conf/model/{model}.yaml"
            links = f"[{code}](../../{code}), [{settings}](../../{settings})"
            found[f"docs/models/{model}.md"] = f"{pages[f'docs/models/{model}.md']}\n## Code and settings\n\n{links}\n"
    return found


def by_family(pages: Mapping[str, str]) -> dict[str, list[str]]:
    """Family -> its models that have a page, in the order of FAMILIES."""
    models = [Path(page).stem for page in pages if re.fullmatch(r"docs/models/(?!index\.)[^/]+\.md", page)]
    found: dict[str, list[str]] = {}
    for family in (*FAMILIES, OTHER):
        order = FAMILIES.get(family, ())
        members = sorted(
            (model for model in models if family_of(model) == family),
            key=lambda model: (order.index(model) if model in order else len(order), model),
        )
        found |= {family: members} if members else {}
    return found


def _first_words(text: str) -> str:
    """The first sentence of the first paragraph that is neither a command nor a heading."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip() and part[:1].strip("#|- ")]
    first = next((part for part in paragraphs if not part.startswith("python ")), "")
    return re.match(r".*?[.!?](?=\s|$)|.*", first)[0]
