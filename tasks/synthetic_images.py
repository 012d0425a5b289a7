"""Images of two classes, red and blue, for `Task.synthetic_batch`."""

import numpy as np

COLORS = np.array([[200, 60, 60], [60, 60, 200]])
GRAY = 120


def random_labels_and_noise(batch_size: int, side: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Make labels and noise, the same at each call.

    Args:
        batch_size: number of images.
        side: of the images, in pixels.

    Returns:
        The random generator for further numbers, labels int `[n]` of 0 and 1 in turn, and noise int `[n, s, s, 3]`.
    """
    random = np.random.default_rng(0)
    return random, np.arange(batch_size) % 2, random.integers(-40, 40, (batch_size, side, side, 3))


def colored_images(labels: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return noisy images in the color of their class, float32 `[n, s, s, 3]`."""
    return (COLORS[labels][:, None, None] + noise).astype(np.float32)


def gray_images_with_square(labels: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, slice]:
    """Return noisy gray images with a square in the color of their class.

    Returns:
        uint8 `[n, s, s, 3]`, and the rows of the square, which are also its columns.
    """
    side = noise.shape[1]
    square = slice(side // 4, 3 * side // 4)
    images = GRAY + noise
    images[:, square, square] += COLORS[labels][:, None, None] - GRAY
    return np.clip(images, 0, 255).astype(np.uint8), square
