"""What the bytes of a DICOM file say: header kernel, values, character sets, VARIANT, geometry. No Spark."""
