"""The style of this part."""

STYLE = """
.ipam .life{display:grid;grid-template:"film film" auto "pool side" auto "list side" 1fr
/minmax(0,1fr) 430px;gap:0 18px;align-items:start}
.ipam .life .wide{grid-area:film}.ipam #pool{grid-area:pool}.ipam #side{grid-area:side}
.ipam #list{grid-area:list}
.ipam .top{display:flex;flex-wrap:wrap;gap:8px 22px;align-items:center;margin-bottom:10px}
.ipam .top h2{margin:0;flex:1 1 260px}
.ipam fieldset{border:0;margin:0;padding:0;display:flex;gap:4px 16px;flex-wrap:wrap}
.ipam fieldset label{margin:0;display:flex;gap:6px;align-items:center;font-size:14px}
.ipam .life input[type=radio]{width:17px;height:17px;padding:0;margin:0;accent-color:var(--blue)}
.ipam .times{display:flex;flex-wrap:wrap;gap:6px 14px;align-items:center;margin:2px 0 12px}
.ipam .times button{min-width:84px}
.ipam #now{font-size:16px;font-weight:650;font-variant-numeric:tabular-nums}
.ipam #chart svg{cursor:pointer}.ipam #chart svg text{font-size:12px}
.ipam #chart .ec2{fill:var(--ink);stroke:var(--card)}
.ipam #chart .cursor{fill:var(--ink);fill-opacity:.14;stroke:var(--ink);stroke-width:1.5}
.ipam .eni{margin-bottom:12px}
.ipam .eni .head{display:block;font-size:12.5px;color:var(--dim);margin-bottom:5px}
.ipam .eni .head b{color:var(--ink);font-weight:650;margin-right:8px}
.ipam .slots{display:flex;flex-wrap:wrap;gap:4px;align-items:center}
.ipam .prefix{display:grid;grid-template-columns:repeat(8,14px);gap:3px;padding:4px;
border:1px solid var(--line);border-radius:6px}
.ipam i:hover{outline:2px solid var(--ink);outline-offset:1px}
.ipam #under{font-size:13px;min-height:40px;padding-top:8px;border-top:1px solid var(--line)}
.ipam #figures td:last-child{color:var(--bad);font-weight:650;min-width:56px}
.ipam #figures .chosen{font-weight:700}
.ipam .life ul,.ipam .life ol{margin:0;padding:0;list-style:none;font-size:13px}
.ipam .life .names{max-height:150px;overflow:auto}
.ipam .life h3{font-size:13px;font-weight:650;line-height:1.4;margin:12px 0 4px}
.ipam .life pre{margin:0 0 6px;font-size:12px}
.ipam #figures .whole{border-top:2px solid var(--dim)}
.ipam #unmet{font-size:13px;margin:0;padding-left:18px}
.ipam #moments{max-height:480px;overflow:auto;position:relative}
.ipam #moments button{display:grid;grid-template-columns:84px minmax(0,1fr) auto;gap:12px;
width:100%;border:0;border-bottom:1px solid var(--line);border-radius:0;text-align:left;
color:var(--ink);font-weight:400;white-space:normal;padding:5px 8px;background:none;
overflow-wrap:anywhere}
.ipam #moments button b{font-variant-numeric:tabular-nums}
.ipam #moments button small{color:var(--dim);font-size:12.5px}
.ipam #moments button[aria-current]{background:var(--area)}
.ipam #moments button[aria-current] small{color:var(--ink)}
@media(max-width:1000px){.ipam .life{grid-template:"film" "pool" "side" "list"/minmax(0,1fr)}}
@media(max-width:800px){.ipam i.held,.ipam i.cooling,.ipam i.free,.ipam i.unused{width:16px;
height:16px}.ipam .prefix{grid-template-columns:repeat(8,16px)}
.ipam #moments button{grid-template-columns:66px minmax(0,1fr)}
.ipam #moments button small{grid-column:2}}
"""
