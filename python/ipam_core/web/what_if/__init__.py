"""What if: what settings do on a node.

page.py      the page: its controls, and what is updated when one is moved
state.py     what the controls hold, as the query of a link
asked.py     what the model says about a state
shown.py     the controls, and nodes as HTML; picture.py: their stairs as SVG
found.py     findings with their fixes, and what a change does, as HTML
forms.py     settings as a command, Helm values, an add-on's configuration
words.py     its words, in English and Korean

Every number is one of `explain --json`. May import: cli, web, and below.
"""
