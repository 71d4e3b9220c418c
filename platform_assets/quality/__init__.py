"""What must hold of a data set, compiled to SQL that the engine runs; and what is unlike the days before."""
