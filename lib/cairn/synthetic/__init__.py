"""A made-up archive to run, test and measure on: no file in it is about anybody.

- :func:`cairn.synthetic.people.person` gives the same made-up Scottish patient for the same seed and index, so that
  images, burnt-in text and health records made at different times are about the same people.
- :func:`cairn.synthetic.archive.synthesise` writes an archive and the truth about every entry.
- :func:`cairn.synthetic.mixes.synthesise_mix` writes the corpora of the benchmark.

Bytes depend on seed, scale and version alone, with two exceptions: deflated containers and datasets are as the zlib
of the machine packs them, and the truth's Parquet files name the version of pyarrow; what they hold is the same.
"""
