"""The style of this part: lines differ by dashes, bars by a pattern, points by their shape."""

STYLE = """
.ipam .pair,.ipam .two{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:0 18px;
align-items:start}
.ipam .pair.one{grid-template-columns:minmax(0,1fr)}
.ipam figure{margin:0 0 8px}.ipam figcaption{font-size:13px;font-weight:650;margin-bottom:4px}
.ipam svg .cursor{stroke:var(--ink);stroke-width:1.5}
.ipam svg .line-1{fill:none;stroke:var(--blue);stroke-width:2}
.ipam svg .line-2{fill:none;stroke:var(--bad);stroke-width:2;stroke-dasharray:6 3}
.ipam .stroke{width:24px;border-top:3px solid var(--blue)}
.ipam .stroke.other{border-top:3px dashed var(--bad)}
.ipam [class^=bar-]{display:block;height:7px;margin:3px 0 0 auto;background:var(--blue);
border-radius:2px;forced-color-adjust:none}
.ipam .bar-2{background:repeating-linear-gradient(45deg,var(--bad) 0 3px,transparent 3px 5px);
border:1px solid var(--bad);box-sizing:border-box}
.ipam .two th.inner{padding-left:14px;
font-size:12.5px;color:var(--dim)}
.ipam #causes td.number{min-width:96px}
.ipam #at-moment{max-width:640px}.ipam .moment{margin-top:10px}.ipam .moment output{font-weight:650}
.ipam progress{width:100%;height:12px;accent-color:var(--blue)}
.ipam .runs{display:flex;flex-wrap:wrap;gap:8px;margin-bottom:16px;align-items:center}
.ipam button:disabled{opacity:.5;cursor:default}
.ipam .two.front{grid-template-columns:minmax(0,1.25fr) minmax(0,1fr)}
.ipam .point{cursor:pointer;outline-offset:3px}
.ipam .point circle,.ipam .point path{fill:var(--area);stroke:var(--blue);stroke-width:2}
.ipam .point.recommended circle:not(.ring){fill:var(--blue)}
.ipam .point .ring{fill:none;stroke-width:1.5}
.ipam .point.today path{fill:var(--card);stroke:var(--bad)}
.ipam .point[aria-pressed=true] circle,.ipam .point[aria-pressed=true] path{stroke:var(--ink);
stroke-width:3}
.ipam .point[aria-pressed=true] text{fill:var(--ink);font-weight:700}
.ipam #points td{font-size:12.5px;padding-right:8px}.ipam #points td:last-child{min-width:0}
.ipam #points th{overflow-wrap:normal}
.ipam #points td:nth-child(2){min-width:190px;white-space:normal}
.ipam #points button{min-width:34px;padding:2px 8px}
.ipam button[aria-pressed=true]{background:var(--blue);color:var(--card)}
.ipam svg .tried,.ipam .point .tried{fill:var(--dim);stroke:none;opacity:.7}
.ipam svg .edge{stroke:var(--bad);stroke-dasharray:3 3}
.ipam .legend.marks svg{width:22px}
.ipam .env{margin:0 0 8px;padding:0;list-style:none;font:12.5px/1.5 ui-monospace,monospace}
.ipam #panels .form{margin:14px 0 0}
.ipam details.card ul{font-size:13px;padding-left:18px}
@media(max-width:900px){.ipam .pair,.ipam .two,.ipam .two.front{
grid-template-columns:minmax(0,1fr)}}
"""
