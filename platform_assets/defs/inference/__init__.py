"""What the models said in the stream, on its way back to the warehouse."""
