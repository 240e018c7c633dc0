"""How the HTML of a view looks: scoped to `.turnout`, light or dark as what surrounds it."""

from __future__ import annotations

from pipelines.views.blocks import Tone

BADGES = {Tone.PLAIN: "#57606a", Tone.GOOD: "#1a7f37", Tone.BAD: "#b42318", Tone.UNSURE: "#8a6100"}
"""Each with white text on it at a contrast of 4.5 and more."""
SHARES = ("#2563c9", "#c2560c", "#0e7c7b", "#7c4dcc", "#6b7280")
"""Neighbours in a bar differ in brightness too, and each is told from light and dark paper (contrast 3 and more)."""

_LIGHT = (
    "--good:#1a7f37;--bad:#b42318;--unsure:#8a6100;--soft:#57606a;--rule:#d0d7de;--shade:#8b949e2e;color-scheme:light"
)
_DARK = (
    "--good:#3fb950;--bad:#ff7b72;--unsure:#d29922;--soft:#9aa4af;--rule:#4b535d;--shade:#8b949e3d;color-scheme:dark"
)

# The name three times over: JupyterLab's own rules for tables have more weight than one class.
_T = ".turnout.turnout.turnout"

STYLE = f"""
.turnout{{{_LIGHT};font:14px/1.5 var(--jp-content-font-family,system-ui,sans-serif);max-width:72em;
color:var(--jp-content-font-color1,var(--vscode-foreground,inherit))}}
@media (prefers-color-scheme:dark){{.turnout{{{_DARK}}}}}
[data-jp-theme-light="true"] .turnout,.vscode-light .turnout{{{_LIGHT}}}
[data-jp-theme-light="false"] .turnout,.vscode-dark .turnout{{{_DARK}}}
{_T} h3{{font-size:1.15em;line-height:1.4;margin:.3em 0 .5em;font-weight:600}}
{_T} h4{{font-size:1em;line-height:1.4;margin:1em 0 .2em;font-weight:600}}
{_T} small{{color:var(--soft);font-weight:400;font-size:.88em;margin-left:.5em}}
{_T} p{{margin:.35em 0;overflow-wrap:anywhere;white-space:pre-wrap}}
{_T} .wide{{overflow-x:auto}}
{_T} table{{border-collapse:collapse;border:0;margin:.2em 0 .8em;font-size:1em;table-layout:auto;
font-variant-numeric:tabular-nums;color:inherit}}
{_T} tr{{background:none;border:0}}
{_T} th,{_T} td{{text-align:left;vertical-align:top;padding:.28em 1.1em .28em 0;border:0;
border-bottom:1px solid var(--rule);white-space:normal;max-width:46em;overflow-wrap:break-word;background:none}}
{_T} .long,{_T} .facts td,{_T} .remark td,{_T} .even td{{overflow-wrap:anywhere}}
{_T} .even{{table-layout:fixed;width:100%;max-width:54em}}{_T} .even th{{white-space:normal;overflow-wrap:anywhere}}
{_T} code{{font:.92em var(--jp-code-font-family,ui-monospace,monospace);background:var(--shade);color:inherit;
padding:.1em .3em;border-radius:.25em}}
{_T} th{{font-weight:500;color:var(--soft);overflow-wrap:normal;white-space:nowrap}}
{_T} .number{{text-align:right;white-space:nowrap}}
{_T} .even .number{{text-align:left}}
{_T} .kept{{white-space:nowrap}}
{_T} .noted td{{border-bottom:0;padding-bottom:0}}
{_T} .remark td{{color:var(--soft);font-size:.9em;padding-top:0;white-space:pre-wrap}}
{_T} .facts th{{padding-right:1.4em}}
{_T} .facts td{{white-space:pre-wrap}}
{_T} .good{{color:var(--good)}}{_T} .bad{{color:var(--bad)}}{_T} .unsure{{color:var(--unsure)}}
{_T} .badge{{color:#fff;border-radius:.3em;padding:.05em .5em;font-weight:600;font-size:.86em;white-space:nowrap}}
{_T} svg{{vertical-align:middle;max-width:none}}
{_T} .bar{{margin:.3em 0 .6em}}
{_T} .bar svg{{display:block;border-radius:4px;width:100%;max-width:44em}}
{_T} .bar span{{margin-right:1.2em;white-space:nowrap}}
{_T} .bar b{{font-weight:400;font-size:1.1em}}
{_T} ul{{list-style:none;margin:.1em 0 .6em .35em;padding:0;border-left:2px solid var(--rule)}}
{_T} li{{position:relative;padding:.1em 0 .5em 1.2em;margin:0}}
{_T} li::before{{content:"";position:absolute;left:-6px;top:.55em;width:10px;height:10px;border-radius:50%;
background:var(--soft)}}
{_T} li.good::before{{background:var(--good)}}{_T} li.bad::before{{background:var(--bad)}}
{_T} li.unsure::before{{background:var(--unsure)}}
{_T} li.good,{_T} li.bad,{_T} li.unsure,{_T} li.plain{{color:inherit}}
{_T} time{{color:var(--soft);margin-right:.4em;font-variant-numeric:tabular-nums}}
{_T} pre{{font:12.5px/1.5 var(--jp-code-font-family,ui-monospace,monospace);margin:.2em 0 .8em;padding:.5em .8em;
background:var(--shade);border-radius:.3em;color:inherit;white-space:pre-wrap;overflow-wrap:anywhere}}
{_T} details{{margin:.3em 0 .6em}}
{_T} summary{{cursor:pointer;color:var(--soft)}}
"""
