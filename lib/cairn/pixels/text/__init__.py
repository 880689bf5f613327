"""Text burnt into images: what the header says, a cheap look at the pixels, detection, recognition. Knows no Spark."""
