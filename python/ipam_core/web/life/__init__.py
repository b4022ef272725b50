"""A node's life: a scenario on a time line that can be moved.

page.py      the part of the page; what a person chooses and drops
view.py      its HTML; look.py: its style; words.py: its words
wire.py      a film as compact plain values, for the browser
life.js      draws them as the time line is moved
examples.py  the scenarios that come with the page; their files are in data/examples

Every number is one of `simulate --json`. May import: cli, web, and below.
"""
