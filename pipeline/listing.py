"""`retinue models`: the table of backbones as rows for the screen."""

from retinue import backbones


def model_rows(pattern=None):
    """A dict a backbone: name, input size, parameters, ImageNet top-1 in percent, where its weights come from."""
    rows = []
    for name in backbones.names(pattern):
        row = backbones.find(name)
        rows.append(
            {
                "backbone": name,
                "input": row.input_size,
                "parameters": f"{row.parameters / 1e6:.1f}M",
                "top-1 %": row.top1,
                "weights": _source(row.imagenet),
            }
        )
    return rows


def _source(source):
    if source is None:
        return "none"
    return f"{source.file} (package {source.package})" if source.package else f"{source.file} (keras.applications)"
