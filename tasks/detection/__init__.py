"""Object detection by Faster R-CNN: model, losses, scores, drawings and the task itself."""
