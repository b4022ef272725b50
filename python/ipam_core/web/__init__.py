"""The page of `ipam-core web`: what settings do on a node, to look at.

serve.py     the server; guard.py: who may ask it
page.py      the page: its controls, and what is updated when one is moved
state.py     what the controls hold, as the query of a link
shown.py     an explanation as HTML; picture.py: its stairs as SVG; look.py: the style
forms.py     settings as a command, Helm values and an add-on's configuration
drop.py      files that a person drops on the page
words.py     the page's own words, in English and Korean

No rule is here: every number is one of `explain --json`. May import: cli, and below.
"""
