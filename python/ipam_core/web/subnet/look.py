"""The style of the part: one hue from light to dark for use, marks for all who print it."""

STYLE = """
:root{--used-0:light-dark(#fff,#0e141b);--used-1:light-dark(#fde3c8,#4a2f1a);
--used-16:light-dark(#8f2d00,#ffb27d);--held:light-dark(#8cc3e8,#1f5f8f);
--aws:light-dark(#c3cbd4,#4a5662);--kept:light-dark(#dbeaf6,#16334a);
--outline:light-dark(#005f99,#6db9ec)}
.ipam .asked{display:grid;grid-template-columns:2fr 1fr 1fr;gap:0 14px;align-items:end}
.ipam .asked button{margin-bottom:11px}
.ipam select{width:100%;box-sizing:border-box;padding:7px 10px;font:inherit;
border:1px solid var(--dim);border-radius:7px;background:var(--page);color:var(--ink)}
.ipam details summary{display:list-item;cursor:pointer;font-weight:650;font-size:13px}
.ipam .counts{margin-bottom:16px}.ipam ul.plain{margin:0 0 16px;padding-left:20px}
.ipam .legend{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;padding:0;margin:10px 0;
font-size:13px}
.ipam .legend li{display:flex;gap:6px;align-items:center}
.ipam .key{display:inline-block;min-width:20px;height:20px;line-height:20px;text-align:center;
font:12px/20px ui-monospace,monospace;border:1px solid var(--line);color:var(--ink);
background:var(--used-0)}
.ipam .key.fragmented{background:var(--used-1)}
.ipam .key.full{background:var(--used-16);color:var(--card)}
.ipam .key.aws-reserved{background:var(--aws)}.ipam .key.prefix-allocated{background:var(--held)}
.ipam .key.prefix-reserved,.ipam .key.explicit-reserved{background:var(--kept)}
.ipam .key.reservation{border:2px solid var(--outline)}
.ipam .key.advised{border:2px dashed var(--outline)}
.ipam .key.freed{border:2px solid var(--good);color:var(--good)}
.ipam [data-key]{display:none!important}.ipam .has-advised [data-key=advised],
.ipam .has-freed [data-key=freed]{display:flex!important}
.ipam .cell{position:sticky;top:0;z-index:2;background:var(--card);font-size:13px;
line-height:20px;height:60px;overflow:auto;border-bottom:1px solid var(--line);
margin-bottom:8px}
.ipam .map{position:relative;line-height:0}.ipam .map canvas{width:100%;display:block}
.ipam .sides{display:grid;grid-template-columns:340px minmax(0,1fr);gap:0 16px;
align-items:start}.ipam .sides form{position:sticky;top:12px}
.ipam .sides form .scroll{max-height:340px}.ipam .sides .scroll td:last-child{min-width:0}
.ipam .card code{white-space:nowrap}
.ipam .ticks{display:flex;flex-wrap:wrap;gap:8px;margin:10px 0}.ipam td label.check{margin:0}
.ipam button:disabled{opacity:.55;cursor:default}
.ipam .gain{font-weight:650;padding-left:12px;border-left:5px solid var(--good);margin:0 0 10px}
.ipam h3{font-size:14px;line-height:1.4;font-weight:650;margin:14px 0 6px}
.ipam .wide{overflow-x:auto}.ipam .wide table{overflow-wrap:normal}
.ipam .form{margin-top:14px}
@media(max-width:800px){.ipam .asked,.ipam .sides{grid-template-columns:minmax(0,1fr)}
.ipam .sides form{position:static;order:1}.ipam .wide td,.ipam .wide th{padding-right:10px}}
"""
