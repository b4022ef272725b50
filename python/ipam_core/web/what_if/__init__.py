"""What if: what settings do on a node.

page.py      the page: its controls, and what is updated when one is moved
state.py     what the controls hold, as the query of a link
shown.py     an explanation as HTML; picture.py: its stairs as SVG
forms.py     settings as a command, Helm values, an add-on's configuration
words.py     its words, in English and Korean

Every number is one of `explain --json`. May import: cli, web, and below.
"""
