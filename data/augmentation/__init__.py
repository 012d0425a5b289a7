"""Random augmentation of training images, with their boxes and masks, in TensorFlow operations."""
