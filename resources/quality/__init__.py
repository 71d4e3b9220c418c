"""Judges real data sets, in files, in object storage and in the warehouse; remembers the results and tells people."""
