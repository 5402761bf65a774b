"""One self-contained HTML page: tables, figures, glossary, what is not done, and the manifest."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report.glossary import GLOSSARY
from benchmark.report.tables.formats import to_html
from benchmark.report.tables.tables import Table

if TYPE_CHECKING:
    import pandas as pd

BUDGET = 3_000_000  # bytes of PNG shown in the page (a third more as base64); the rest is linked
STYLE = """
:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--soft:#5c6670;--line:#d5dae0;--head:#f3f5f7;--warn:#8a4b00}
@media(prefers-color-scheme:dark){:root{--fg:#e4e7ea;--bg:#15181c;--soft:#a3adb7;--line:#3a424b;--head:#20252b;
--warn:#f0b35e}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--fg);background:var(--bg);
margin:0 auto;max-width:1180px;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.3rem;margin:2.6rem 0 .4rem;padding-top:.6rem;
border-top:2px solid var(--line)}h3{font-size:1.02rem;margin:1.7rem 0 .4rem}
a{color:inherit}nav{background:var(--head);padding:.7rem 1rem;border-radius:6px;margin:1rem 0;font-size:.93rem}
nav ul{margin:0;padding-left:1.1rem;columns:2 22rem}
.scroll{overflow-x:auto;max-width:100%}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.22rem .6rem;text-align:right;white-space:nowrap}thead th{border-bottom:1px solid var(--fg);
border-top:2px solid var(--fg);background:var(--head)}th:first-child,th.text,td.text{text-align:left}
tbody th{font-weight:400}tbody tr:last-child>*{border-bottom:2px solid var(--fg)}
tr.rule>*{border-top:1px solid var(--fg)}tbody tr:hover>*{background:var(--head)}
.note{font-size:.84rem;color:var(--soft);margin:.25rem 0;max-width:75rem}.warn{color:var(--warn)}
figure{margin:1.2rem 0}figure img{max-width:100%;height:auto;background:#fff;
border:1px solid var(--line);border-radius:4px}
figcaption{font-size:.88rem;color:var(--soft);max-width:75rem}
dt{font-family:ui-monospace,monospace;font-size:.9rem;margin-top:.6rem}dd{margin:0 0 0 1.2rem;font-size:.92rem}
pre{overflow-x:auto;background:var(--head);padding:.8rem;font-size:.78rem;border-radius:6px}
"""


@dataclass(frozen=True)
class Figure:
    """A drawn figure: where its PNG and PDF lie, which section it belongs to and what it shows."""

    key: str  # file name without suffix, in figures/
    section: str  # heading of the tables it stands with
    title: str
    caption: str
    png: Path


def build_page(
    experiment: str,
    frame: pd.DataFrame,
    sections: Mapping[str, Sequence[Table]],
    figures: Sequence[Figure],
    manifest: Mapping[str, Any],
) -> str:
    """The page as text. Everything that comes from records is escaped."""
    done = int((frame["state"] == "done").sum())
    inline = _within_budget(figures)
    body = [
        f"<h1>Generative anomaly detectors: {_e(experiment)}</h1>",
        f"<p class='note'>{done} of {len(frame)} cells done. Made by <code>{_e(manifest['made_by'])}</code> at "
        f"revision <code>{_e(str(manifest['report_git_revision'])[:12])}</code>. Every number is computed from "
        "<a href='cells.csv'>cells.csv</a>, one row a cell. Tables: <a href='tables.md'>Markdown</a>, "
        "<a href='tables.tex'>LaTeX</a>, CSV in <code>tables/</code>. Figures: also PDF, in <code>figures/</code>.</p>",
        _contents(sections, figures),
        _not_done(frame, manifest["warnings"]),
    ]
    for i, (heading, tables) in enumerate(sections.items()):
        body.append(f"<h2 id='section-{i}'>{_e(heading)}</h2>")
        body += [to_html(table) for table in tables]
        body += [_figure(figure, figure.key in inline) for figure in figures if figure.section == heading]
    body += [_glossary(), _manifest(manifest)]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{_e(experiment)}: generative anomaly detectors</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _e(text: object) -> str:
    return html.escape(str(text))


def _contents(sections: Mapping[str, Sequence[Table]], figures: Sequence[Figure]) -> str:
    lines = ["<li><a href='#state'>Cells that are not done</a></li>"]
    for i, (heading, tables) in enumerate(sections.items()):
        inner = [f"<li><a href='#{_e(table.key)}'>{_e(table.title.split(', ')[0])}</a></li>" for table in tables]
        inner += [
            f"<li><a href='#{_e(figure.key)}'>Figure: {_e(figure.title.split(', ')[0])}</a></li>"
            for figure in figures
            if figure.section == heading
        ]
        lines.append(f"<li><a href='#section-{i}'>{_e(heading)}</a><ul>{''.join(inner)}</ul></li>")
    lines += ["<li><a href='#glossary'>Glossary</a></li>", "<li><a href='#manifest'>Manifest</a></li>"]
    return f"<nav aria-label='Contents'><ul>{''.join(lines)}</ul></nav>"


def _not_done(frame: pd.DataFrame, warnings: Sequence[str]) -> str:
    rows = frame[frame["state"] != "done"]
    parts = ["<h2 id='state'>Cells that are not done</h2>"]
    parts += [f"<p class='note warn'>{_e(warning)}</p>" for warning in warnings]
    if len(rows) == 0:
        return "\n".join([*parts, "<p>None: every planned cell is done.</p>"])
    columns = ["model", "variant", "dataset", "split", "normal_class", "seed", "state", "reason"]
    body = "".join(
        "<tr>" + "".join(f"<td class='text'>{_e(row[name])}</td>" for name in columns) + "</tr>"
        for row in rows.to_dict("records")
    )
    head = "".join(f"<th class='text'>{name}</th>" for name in columns)
    return "\n".join(
        [*parts, f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"]
    )


def _within_budget(figures: Sequence[Figure]) -> set[str]:
    """Keys of the figures that are shown in the page, smallest first until the budget is spent."""
    shown, spent = set(), 0
    for figure in sorted(figures, key=lambda figure: figure.png.stat().st_size):
        spent += figure.png.stat().st_size
        if spent <= BUDGET:
            shown.add(figure.key)
    return shown


def _figure(figure: Figure, inline: bool) -> str:
    files = f"<a href='figures/{_e(figure.key)}.png'>PNG</a>, <a href='figures/{_e(figure.key)}.pdf'>PDF</a>"
    image = ""
    if inline:
        data = base64.b64encode(figure.png.read_bytes()).decode("ascii")
        image = f"<img loading='lazy' alt='{_e(figure.title)}' src='data:image/png;base64,{data}'>"
    return (
        f"<h3 id='{_e(figure.key)}'>{_e(figure.title)}</h3><figure>{image}"
        f"<figcaption>{_e(figure.caption)} ({files})</figcaption></figure>"
    )


def _glossary() -> str:
    meaning = {"↑": " Larger is better.", "↓": " Smaller is better.", "": ""}
    items = "".join(f"<dt>{_e(key)}</dt><dd>{_e(text)}{meaning[better]}</dd>" for key, text, better in GLOSSARY)
    return f"<h2 id='glossary'>Glossary</h2><dl>{items}</dl>"


def _manifest(manifest: Mapping[str, Any]) -> str:
    text = json.dumps({k: v for k, v in manifest.items() if k != "cells"}, indent=1, ensure_ascii=False)
    return (
        "<h2 id='manifest'>Manifest</h2><p class='note'>Fingerprints of all cells: "
        f"<a href='manifest.json'>manifest.json</a>.</p><pre>{_e(text)}</pre>"
    )
