"""The raw archive: addresses, listing, range reads, zip and tar members read in place.

Nothing here imports Spark, writes to the archive, or unpacks anything to disk.
"""
