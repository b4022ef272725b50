"""A report as HTML, from its plain values (`subnet report --json`). Every text is escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipam_core.web.markup import text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ipam_core.subnet.report import SubnetReport
    from ipam_core.web.subnet.asked import Asked
    from ipam_core.web.subnet.blocks import Gain

_BAD = ("high", "critical", "exhausted")


def filled(words: Mapping[str, str], name: str, **values: object) -> str:
    """Return words with values in them, as HTML."""
    return text(words[name].format_map(values))


def live(words: Mapping[str, str]) -> str:
    """Return the fields to read from AWS."""
    return (
        f'<details><summary>{words["live"]}</summary><p class="hint">{words["live_hint"]}</p>'
        f'<div class="asked"><label>{words["subnet_ids"]}<input name="subnet_ids" '
        'placeholder="subnet-0123456789abcdef0" autocomplete="off" spellcheck="false"></label>'
        f'<label>{words["cluster"]}<input name="cluster" autocomplete="off" spellcheck="false">'
        f'</label><button type="submit">{words["read"]}</button></div></details>'
    )


def fields(asked: Asked, reports: Mapping[str, SubnetReport], words: Mapping[str, str]) -> str:
    """Return the fields for what is shown of what was read."""
    options = "".join(
        f'<option value="{text(name)}"{" selected" if name == asked.subnet else ""}>'
        f"{text(name)}, {text(each.subnet.cidr)}: {_score(each.to_json())}</option>"
        for name, each in reports.items()
    )
    return (
        f'<div class="asked"><label>{words["subnet"]}<select name="subnet">{options}</select>'
        f'</label><label>{words["win"]}<input name="win" value="{text(asked.win)}" '
        'inputmode="numeric" autocomplete="off"></label>'
        f'<label>{words["instance"]}<input name="instance" value="{text(asked.instance)}" '
        f'placeholder="{words["most_frequent"]}" autocomplete="off" spellcheck="false"></label>'
        "</div>"
    )


def _score(found: Mapping[str, Any]) -> str:
    score = "-" if found["score"] is None else found["score"]
    return text(f"{score} {found['band']}")


def summary(found: Mapping[str, Any], notices: Iterable[str], words: Mapping[str, str]) -> str:
    """Return the verdict on a subnet, its counts, and what is doubtful."""
    addresses = found["addresses"]
    bad = " bad" if found["band"] in _BAD or found["no_single_address"] else ""
    at_most = "≤ " if found["partial"] else ""
    counts = [
        filled(words, "used", n=addresses["used"]),
        filled(words, "free", n=f"{at_most}{addresses['free']}"),
        filled(words, "free_prefixes", n=f"{at_most}{found['free_prefixes']}"),
        filled(words, "run", n=found["longest_free_run"]),
    ]
    if addresses["available_ip_address_count"] is not None:
        counts.append(filled(words, "available", n=addresses["available_ip_address_count"]))
    doubts = [*map(text, found["missing"])]
    if not addresses["agrees"]:
        n_unseen = addresses["in_use_and_not_shown"] or 1
        doubts.append(filled(words, "disagrees", n=n_unseen))
    doubts += [words[name] for name, is_so in (
        ("partial", found["partial"]), ("no_single", found["no_single_address"]),
    ) if is_so]  # fmt: skip
    doubts += [
        f"{text(each['eni_id'])} {words['skipped']}: {text(each['why'])}"
        for each in found["skipped"]
    ]
    doubts += map(text, notices)
    listed = "".join(f"<li>{line}</li>" for line in doubts)
    return (
        f'<p class="verdict{bad}" role="status">{text(found["subnet_id"])} {text(found["cidr"])}: '
        f'{words["fragmentation"]} {_score(found)}</p><p class="counts">{" · ".join(counts)}</p>'
        + (f'<ul class="plain doubts">{listed}</ul>' if listed else "")
    )


def block_map(plain: Mapping[str, Any], found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return the map: what script.py draws, its legend, and where the cell's owners are shown."""
    said = {name: words[name] for name in ("of_16", "nobody", "freed", "reservation")}
    data = json.dumps({**plain, "words": said}, separators=(",", ":"))
    legend = "".join(
        f'<li><span class="key {name}">{mark if name != "fragmented" else "1-f"}</span>'
        f"{name} {found['blocks'][name]}</li>"
        for name, mark in zip(plain["names"], plain["marks"], strict=True)
        if found["blocks"][name]
    )
    if plain["reservations"]:
        legend += f'<li><span class="key reservation"></span>{words["reservation"]}</li>'
    legend += f'<li data-key="advised"><span class="key advised"></span>{words["advised"]}</li>'
    legend += f'<li data-key="freed"><span class="key freed">✓</span>{words["freed"]}</li>'
    return (
        f'<h2>{words["map"]}</h2><ul class="legend">{legend}</ul>'
        f'<p class="cell" id="cell" role="status">{words["map_keys"]}</p>'
        f'<div class="map" tabindex="0" role="application" aria-label="{words["map"]}" '
        f'aria-describedby="cell" data-map="{text(data)}"><canvas></canvas></div>'
    )


def owners(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return the table of owners."""
    head = "".join(
        f'<th class="number">{name}</th>' for name in ("ENIs", words["addresses"], "/28s")
    )
    rows = "".join(
        f"<tr><td>{text(each['owner'])}</td>"
        + "".join(
            f'<td class="number">{each[name]}</td>' for name in ("enis", "addresses", "prefixes")
        )
        + "</tr>"
        for each in found["owners"]
    )
    return (
        f'<h2>{words["owners"]}</h2><table data-table="owners"><thead><tr>'
        f"<th>{words['owner']}</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def drains(words: Mapping[str, str]) -> str:
    """Return what stands above the nodes to tick."""
    return (
        f'<h2 id="drains">{words["drains"]}</h2><p class="hint">{words["drain_hint"]}</p>'
        f'<p class="ticks"><button type="button" data-tick="advised" disabled>'
        f'{words["tick_advised"]}</button><button type="button" data-tick="none">'
        f"{words['tick_none']}</button></p>"
    )


def nodes(report: SubnetReport, blocks_of: Mapping[str, int], words: Mapping[str, str]) -> str:
    """Return the nodes to tick, those with the fewest pods first."""
    if not report.nodes:
        return f"<p>{words['no_nodes']}</p>"
    pods = words["pods" if report.listed_nodes.issuperset(report.nodes) else "at_most_pods"]
    rows = "".join(
        f'<tr><td><label class="check"><input type="checkbox" name="node" value="{text(node)}">'
        f'<code>{text(node)}</code></label></td><td class="number">{report.pods_of[node]}</td>'
        f'<td class="number">{blocks_of[node]}</td></tr>'
        for node in sorted(report.nodes, key=lambda node: (report.pods_of[node], node))
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="drains"><table><thead>'
        f'<tr><th>{words["node"]}</th><th class="number">{pods}</th>'
        f'<th class="number">{words["blocks"]}</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def gain(found: Gain, pods_known: bool, words: Mapping[str, str]) -> str:
    """Return what draining the ticked nodes gives."""
    score = "-" if found.score is None else found.score
    parts = (
        filled(words, "gain", nodes=found.nodes, won=len(found.freed), free=found.free_prefixes),
        filled(words, "gain_pods" if pods_known else "gain_at_most", n=found.pods),
        filled(words, "gain_score", n=f"{score} {found.band}"),
    )
    return (
        f'<p class="gain" role="status" data-freed="{json.dumps(found.freed)}">'
        f"{' · '.join(parts)}</p>"
    )


def working(words: Mapping[str, str]) -> str:
    """Return what is shown while the advice is worked out."""
    return f'<p class="hint" role="status">{words["searching"]}</p>'


def rows_of(cells: Sequence[Collection[object]]) -> str:
    """Return rows of a table; the first cell of each is a text, the others are numbers."""
    return "".join(
        "<tr>"
        + "".join(
            f"<td{' class=number' if at else ''}>{text(cell)}</td>" for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in cells
    )
