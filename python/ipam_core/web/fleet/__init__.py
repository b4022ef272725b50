"""A fleet: what simulate and tune find, both policies next to each other, the front to click.

page.py     the part of the page; what a person chooses and drops
runs.py     fleets that are played, and results that are read, as plain values
view.py     results of simulate as HTML; picture.py: its charts as SVG
front.py    a result of tune: the Pareto front, and its settings to click
look.py     the style; words.py: the words
fleet.js    the moment under the cursor; the point that was clicked
examples.py the fleets that come with the page; their files are in data/examples

Every number is one of `simulate --json` or `tune --json`. May import: cli, web, and below.
"""
