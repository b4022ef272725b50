"""One node's life, step by step.

spec.py      the scenario format, as a value
player.py    play a scenario
observe.py   what an `expect` looks at
checking.py  compare it with what is expected
timeline.py  what playing gives
restarts.py  what a restarted agent finds
"""
