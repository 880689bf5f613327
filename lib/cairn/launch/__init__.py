"""What ``spark-submit.sh`` does once it has found a Python: list jobs, make the environment, start a job.

Runs before the environment exists, so only the standard library and :mod:`cairn.errors` are imported here. Nothing in
this package starts Spark itself: it composes environment variables and a command, and becomes that command.
"""
