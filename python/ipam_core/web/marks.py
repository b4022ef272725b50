"""The style of what several parts draw: the states of addresses, legends, choices, controls.

A state differs by shape and pattern, not by colour alone.
"""

STYLE = """
.ipam{--hatch:repeating-linear-gradient(45deg,var(--bad) 0 2px,transparent 2px 5px)}
#q-loading-bar{display:none}
.ipam [hidden]{display:none!important}
.ipam .sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.ipam i.held,.ipam i.cooling,.ipam i.free,.ipam i.unused{display:block;width:14px;height:14px;
box-sizing:border-box;border:2px solid var(--blue);border-radius:3px;forced-color-adjust:none}
.ipam i.held{background:var(--blue)}
.ipam i.cooling{border-color:var(--bad);border-radius:50%;background:var(--hatch)}
.ipam i.free{background:transparent}
.ipam i.unused{border:0;background:radial-gradient(circle,var(--dim) 0 1.6px,transparent 2px)}
.ipam svg .held{fill:var(--blue)}.ipam svg .cooling{fill:url(#hatch);stroke:var(--bad)}
.ipam svg .stripe{fill:var(--bad)}
.ipam svg .free{fill:var(--area);stroke:var(--blue);stroke-width:1}
.ipam .legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--dim);
margin:0 0 10px;padding:0;list-style:none}
.ipam .legend li{display:flex;gap:6px;align-items:center}
.ipam .legend .line{width:20px;border-top:2px dashed var(--ink)}
.ipam .legend .dot{width:8px;height:8px;border-radius:50%;background:var(--ink)}
.ipam h2{margin-top:0}.ipam .hint+h2{margin-top:12px}
.ipam .choices{display:flex;flex-wrap:wrap;gap:8px}
.ipam .choices a[aria-current]{background:var(--area)}
.ipam input[type=range]{display:block;padding:0;border:0;background:none;height:24px;
accent-color:var(--blue)}
.ipam th[scope=row]{font-weight:400;position:static}
.ipam details summary{display:list-item;cursor:pointer;font-size:13px;margin-bottom:6px}
.ipam select{display:block;width:100%;padding:7px 10px;font:inherit;border:1px solid var(--dim);
border-radius:7px;background:var(--page);color:var(--ink)}
"""
