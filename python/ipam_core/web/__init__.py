"""The pages of `ipam-core web`: what can be looked at in a browser.

serve.py     the server; guard.py: who may ask it
parts.py     the pages of all parts
frame.py     what they share: header, links to each other, language, theme; how a part is added
look.py      the style; script.py: the theme switch, links, copying
markup.py    foreign texts as HTML that shows them
work.py      what takes over a second, in a process of its own
form.py      fields as the browser sends them
drop.py      files that a person drops on the page
words.py     the frame's words, and how words are kept in English and Korean
marks.py     the style of what several parts draw, such as the states of addresses
what_if/     what settings do on a node
subnet/      the map of a subnet, and what drains give
doctor/      why a node is stuck, by files that are dropped
life/        a node's life: a scenario on a time line
fleet/       a fleet: results of simulate and tune

No rule is here: every number is one that a command prints. May import: cli, and below.
"""
