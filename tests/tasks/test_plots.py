from retinue.tasks import plots
from retinue.tasks.confusion_matrix import plot_confusion_matrix
from retinue.tests.helpers.plot_images import random_confusion_table


def test_the_same_numbers_give_the_same_bytes_and_matplotlibs_settings_stay():
    import matplotlib

    before = {name: matplotlib.rcParams[name] for name in [*plots.STYLE, "font.family"]}
    assert plot_confusion_matrix(random_confusion_table(4)).png == plot_confusion_matrix(random_confusion_table(4)).png
    assert {name: matplotlib.rcParams[name] for name in before} == before


def test_metrics_are_written_as_readers_write_them():
    names = ("ap", "ap50", "ar_small", "voc07_ap50", "best_threshold", "f1", "macro_f1", "map_of_arts", "top5")
    expected = ["AP", "AP50", "AR small", "VOC07 AP50", "best threshold", "F1", "macro F1", "map of arts", "top 5"]
    assert [plots.metric_label(name) for name in names] == expected


def test_long_texts_are_shortened_to_one_line():
    assert plots.shorten("a  long\nname", 8) == "a long…" and plots.shorten("short", 8) == "short"
