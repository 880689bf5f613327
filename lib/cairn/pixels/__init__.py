"""What the pixels say: decoding, statistics, burnt-in text. Knows no Spark."""
