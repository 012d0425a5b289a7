"""Files on disk: atomic writing, temporary folders, content ids and file names."""
