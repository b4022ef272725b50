"""Play nodes in virtual time.

scenario.py   the scenario format: one node's life as a value
player.py     play a scenario and record what happened
checking.py   compare what is with what a scenario expects
enis.py       a node's state as the agent's /v1/enis endpoint shows it
"""
