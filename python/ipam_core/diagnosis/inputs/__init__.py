"""What a node in trouble leaves behind, read into values.

collect.py      files, directories and archives: find what is in them and read it
case.py         what was read, as one value: the case
enis.py         /v1/enis in its three forms
log.py          ipamd.log
cloudtrail.py   CloudTrail events
events.py       events of Kubernetes
"""
