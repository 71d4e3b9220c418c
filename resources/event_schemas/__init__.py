"""The registered event schemas: files that never change, one per version, read by the door and the stream alike."""
