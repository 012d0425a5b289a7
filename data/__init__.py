"""Image data: datasets and their readers, checks, splits, decoding, augmentation and batches."""
