"""What leaves for a project: the project's file, rules of rejection, places, manifest and signature. No Spark."""
