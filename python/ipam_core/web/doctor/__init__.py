"""The part `doctor` of the page: the files of a node are dropped, and the diagnosis is shown.

page.py      the part: its zone for files, its fields, and what is shown when one changes
asked.py     what the fields hold, and the diagnosis with it
shown.py     a diagnosis as HTML, from the plain values of `doctor --json`
words.py     the part's own words, in English and Korean

May import: diagnosis, web, and below.
"""
