"""The part `A subnet` of the page: its map of /28s, who holds them, and what a drain gives.

page.py      the part: what is dropped or read from AWS, and what is updated when one ticks
asked.py     what the fields hold, and the report and the advice with it
blocks.py    the map of a report as plain values; what a drain of some nodes gives
shown.py     the report, the nodes to drain and the gain as HTML; advice.py: the advice
script.py    the map, drawn on a canvas in the browser; look.py: the style
words.py     the part's own words, in English and Korean

Every number is one of `subnet report --json`. May import: subnet, cli, web, and below.
"""
