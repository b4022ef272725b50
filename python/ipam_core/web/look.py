"""The style of the page, in light and dark: blue and vermilion, which all can distinguish."""

STYLE = """
:root{color-scheme:light dark}:root[data-theme=light]{color-scheme:light}
:root[data-theme=dark]{color-scheme:dark}
:root{--page:light-dark(#f5f7fa,#11161d);--card:light-dark(#fff,#1a212b);
--ink:light-dark(#17202b,#e8edf3);--dim:light-dark(#536172,#a3b1c2);
--line:light-dark(#d8dfe8,#313c4a);--blue:light-dark(#005f99,#6db9ec);
--area:light-dark(#cfe4f4,#1d4463);--bad:light-dark(#b34700,#ff9a5c);
--good:light-dark(#00694f,#4fd1a5)}
body.ipam{background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,"Noto Sans KR",sans-serif;margin:0}
.ipam .nicegui-content{display:block;padding:0}
.ipam .sheet{max-width:1240px;margin:0 auto;padding:24px 20px 48px}
.ipam .bar{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;margin-bottom:18px;
padding-bottom:12px;border-bottom:1px solid var(--line)}
.ipam nav{display:flex;flex-wrap:wrap;gap:4px;margin-right:auto}
.ipam nav a{color:var(--dim);text-decoration:none;font-weight:600;padding:5px 10px;
border-radius:7px}.ipam nav a:hover{background:var(--area);color:var(--ink)}
.ipam nav a[aria-current]{color:var(--blue);background:var(--area)}
.ipam .themes{display:flex}.ipam .themes button{border-radius:0;margin-left:-1px}
.ipam .themes button:first-child{border-radius:7px 0 0 7px;margin:0}
.ipam .themes button:last-child{border-radius:0 7px 7px 0}
.ipam button[aria-pressed=true]{background:var(--blue);color:var(--card)}
.ipam h1{font-size:26px;line-height:1.25;font-weight:700;letter-spacing:-.01em;margin:0}
.ipam h2{font-size:15px;line-height:1.4;font-weight:650;letter-spacing:0;margin:0 0 10px}
.ipam p{margin:0}.ipam .lead,.ipam .hint{color:var(--dim)}
.ipam .columns{display:grid;grid-template-columns:290px minmax(0,1fr);gap:18px;margin-top:20px;
align-items:start}
.ipam .card{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:16px 18px;margin-bottom:16px;overflow-wrap:anywhere}
.ipam label{display:block;margin-bottom:11px;font-size:13px}
.ipam label.check{display:flex;gap:8px;align-items:center}
.ipam label code{font-size:12px}
.ipam label span.hint{float:right;font-size:12px}.ipam label.check span.hint{float:none}
.ipam input:not([type=checkbox]),.ipam select{width:100%;box-sizing:border-box;padding:7px 10px;
font:inherit;
border:1px solid var(--dim);border-radius:7px;background:var(--page);color:var(--ink)}
.ipam input[type=checkbox]{accent-color:var(--blue);width:17px;height:17px;flex:none}
.ipam :focus-visible{outline:3px solid var(--blue);outline-offset:2px}
.ipam label:has(input:placeholder-shown)+label:has(input[list]:placeholder-shown){display:none}
.ipam [inert]{opacity:.45;transition:opacity .15s .25s}
.ipam .side{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));
gap:0 16px}.ipam .side .card{min-width:0}.ipam .side svg text{font-size:18px}
.ipam .buttons{margin-top:10px}
.ipam .row{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;
justify-content:space-between}
.ipam tr.bad td{color:var(--bad);font-weight:650}
.ipam .verdict{font-size:21px;line-height:1.35;font-weight:700;padding-left:14px;
border-left:6px solid var(--good);margin-bottom:16px;min-height:29px}
.ipam .verdict.bad{border-color:var(--bad);color:var(--bad)}
.ipam svg{width:100%;height:auto;display:block}
.ipam svg text{fill:var(--dim);font-size:12px}.ipam svg .mid{text-anchor:middle}
.ipam svg .end{text-anchor:end}.ipam svg .grid{stroke:var(--line);fill:none}
.ipam svg .axis{stroke:var(--dim);fill:none}
.ipam svg .area{fill:var(--area);stroke:var(--blue);stroke-width:2}
.ipam svg .pods{fill:none;stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 4}
.ipam svg .eni{fill:var(--card);stroke:var(--blue);stroke-width:2}
.ipam svg .call{fill:var(--dim)}.ipam svg .brick{fill:var(--bad);opacity:.32}
.ipam svg .wall{stroke:var(--bad);stroke-width:4;fill:none}
.ipam svg .plate{fill:var(--card);stroke:var(--bad)}
.ipam svg text.stall{fill:var(--bad);font-weight:700;font-size:13px}
.ipam .finding{border-top:1px solid var(--line);padding:12px 0}
.ipam .finding:first-of-type{border:0;padding-top:0}.ipam .finding:last-child{padding-bottom:0}
.ipam .tag{font-size:12px;font-weight:700;border:1px solid currentColor;border-radius:5px;
padding:0 6px;margin-right:6px}.ipam .tag.error,.ipam .tag.warning{color:var(--bad)}
.ipam .tag.info{color:var(--dim)}.ipam pre.why{border:0;background:none;padding:0;margin:8px 0}
.ipam a.button,.ipam button{display:inline-block;font:inherit;font-size:13px;font-weight:600;
padding:5px 12px;border:1px solid var(--blue);border-radius:7px;color:var(--blue);
background:var(--card);text-decoration:none;cursor:pointer;white-space:nowrap}
.ipam a.button:hover,.ipam button:hover{background:var(--area)}
.ipam .scroll{overflow:auto;max-height:420px}
.ipam table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13px}
.ipam th,.ipam td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--line);
vertical-align:top}.ipam th{font-weight:650;position:sticky;top:0;background:var(--card)}
.ipam td.number,.ipam th.number{text-align:right;padding-right:18px;white-space:nowrap}
.ipam .scroll th,.ipam .scroll td{overflow-wrap:normal;white-space:nowrap}
.ipam pre{background:var(--page);border:1px solid var(--line);border-radius:7px;padding:8px 10px;
margin:0 0 8px;font-size:12.5px;white-space:pre-wrap;overflow-wrap:anywhere}
.ipam .form{margin-bottom:16px}.ipam .form div{display:flex;justify-content:space-between;
align-items:center;margin-bottom:6px;gap:10px}
.ipam .problem{color:var(--bad);font-weight:600}
@media(max-width:800px){.ipam .columns{grid-template-columns:minmax(0,1fr)}
.ipam .sheet{padding:16px 12px}.ipam h1{font-size:21px}.ipam .card{padding:14px}
.ipam svg text{font-size:18px}.ipam svg text.stall{font-size:18px}}
"""
