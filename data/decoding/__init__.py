"""From files to pixels: images, masks and clips, their EXIF orientation, and resizing."""
