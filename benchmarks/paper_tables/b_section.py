"""The words, tables and figures of Liang et al.'s comparison, all made from the rows."""

import numpy as np
import pandas as pd

from paper_tables import b_models
from paper_tables.render import markdown, spread

FULL = "BiGRU-DA-BERT"
# precision, recall, F1 as printed; the rows of tables 4 and 5 are labelled the wrong way round
# there, its text says that the model with differential attention is the better one
PAPER = {
    "USTC": {
        "Deep Packet CNN": (0.93, 0.92, 0.93),
        "Deep Packet SAE": (0.91, 0.94, 0.91),
        "CNN + LSTM": (0.91, 0.92, 0.93),
        FULL: (0.96, 0.96, 0.97),
    },
    "ISCX": {},
}
PAPER_ABLATION = {
    "USTC": {FULL: (0.97, 0.97, 0.97), "without differential attention": (0.94, 0.95, 0.94)},
    "ISCX": {FULL: (0.96, 0.96, 0.97), "without differential attention": (0.94, 0.94, 0.95)},
}
COLUMNS = {
    (True, "time"): "masked, in time",
    (True, "random"): "masked, random",
    (False, "time"): "unmasked, in time",
    (False, "random"): "unmasked, random",
}
DRAW = 0.005  # F1 that is no difference
# classes that the paper calls few, and those that its figure shows gain by focal loss
FEW = {"USTC": ["MySQL", "Tinba"], "ISCX": ["Streaming", "Vpn_P2p"]}


def section(data, result, images):
    """Markdown of one data set."""
    rows = result.rows
    few = rows.iloc[0]
    about = (
        f"{few['train'] + few['test']:,} sessions, {len(few['class_f1'])} classes, "
        f"{rows['seed'].nunique()} seed(s); the first {result.settings['n_packets']} packets, "
        f"{result.settings['n_bytes']} bytes of each from the IP header on. Trained on the first "
        "60 % of each class in time, tested on the rest; beside it the same shares drawn at "
        "random. Masked: addresses, ports, IP id, checksums, sequence numbers and timestamps are "
        "hidden; unmasked: they stay, as in most papers. BERT starts from random weights, "
        "but for one row further down."
    )
    parts = [about, comparison(data, rows), comparison_words(data, rows)]
    parts += [class_figure(data, rows, images), ablation(data, rows), ablation_words(rows)]
    parts += [focal_figure(data, rows, images), focal_words(data, rows)]
    return "\n\n".join(parts)


def column(rows, masked, split):
    """Rows of one input and split."""
    return rows[(rows["masked"] == masked) & (rows["split"] == split)]


def comparison(data, rows):
    """Table 3 or, for ISCX, the table that figure 4 is drawn from."""
    main = rows[~rows["model"].isin(list(b_models.VARIANTS)[1:])]
    order = [m for m in (*b_models.CONTENDERS, "random forest, raw bytes") if m in set(main.model)]
    table = pd.DataFrame(index=pd.Index(order, name="model"))
    if PAPER[data]:
        table["paper P / R / F1"] = [
            " / ".join(f"{v:.2f}" for v in PAPER[data][m]) if m in PAPER[data] else "–"
            for m in order
        ]
    honest = spread(column(main, True, "time"), "model", ["precision", "recall"])
    table["P, masked, in time"] = honest["precision"]
    table["R"] = honest["recall"]
    for place, name in COLUMNS.items():
        table[f"F1, {name}"] = spread(column(main, *place), "model", ["f1"])["f1"]
    return markdown(table.fillna("–")) + "\n\nMacro averages; mean ± deviation over the seeds."


def best(rows, names):
    """Contender of the best mean F1 among some, and that F1."""
    means = rows[rows["model"].isin(names)].groupby("model")["f1"].mean()
    return means.idxmax(), means.max()


def comparison_words(data, rows):
    """Decide from the figures whether the paper's order holds."""
    honest, naive = column(rows, True, "time"), column(rows, False, "random")
    full = honest[honest.model == FULL]["f1"].mean()
    rival, rival_f1 = best(honest, b_models.NETWORKS)
    simple, simple_f1 = best(honest, b_models.SIMPLE)
    first, swapped = full > rival_f1, naive[naive.model == FULL]["f1"].mean() - full
    words = [
        f"**{'Reproduced' if first else 'Not reproduced'}: the order of the networks.** The paper "
        f"puts {FULL} before the other three; here it has F1 {full:.3f} with identifiers masked "
        f"and later sessions as the test, the best of the other networks, {rival}, {rival_f1:.3f}."
    ]
    if simple_f1 > max(full, rival_f1):
        words.append(
            f"The {simple} on the same bytes has {simple_f1:.3f} and beats every network, in a "
            "fraction of their time."
        )
    else:
        words.append(f"The best of the simple models, {simple}, has {simple_f1:.3f}.")
    hard = class_table(honest)[[FULL, simple]].sort_values(simple).head(3)
    listed = ", ".join(f"{k} ({a:.2f} and {b:.2f})" for k, a, b in hard.itertuples())
    words.append(f"Hardest for it: {listed}, F1 of {FULL} and of the {simple}.")
    top, top_f1 = best(naive, b_models.CONTENDERS)
    words.append(
        f"As most papers evaluate, identifiers left in and a random split, the best is {top} with "
        f"{top_f1:.3f} and {FULL} has {full + swapped:.3f}: what identifiers and neighbouring "
        f"sessions give away is {swapped:+.3f} for it. "
        f"{honest['twins'].mean():.0%} of the masked test rows in time stand byte for byte in the "
        f"training part; on the others alone {FULL} has "
        f"{honest[honest.model == FULL]['f1_new'].mean():.3f}."
    )
    return " ".join(words)


def class_table(rows):
    """F1 of each class, mean over the seeds: (class, model)."""
    frame = pd.DataFrame(list(rows["class_f1"]), index=rows["model"])
    return frame.groupby(level=0, sort=False).mean().T


def order_of_classes(rows):
    """Classes from few to many training sessions."""
    return pd.DataFrame(list(rows["class_train"])).mean().sort_values().index


def class_figure(data, rows, images):
    """Figure 4, and figure 5 for USTC: F1 of each class for each contender."""
    import matplotlib.pyplot as plt

    honest = column(rows, True, "time")
    classes = order_of_classes(honest)
    table = class_table(honest).loc[classes]
    sizes = pd.DataFrame(list(honest["class_train"])).mean()[classes]
    figure, axes = plt.subplots(figsize=(10, 4.2))
    for i, name in enumerate(m for m in b_models.CONTENDERS if m in table):
        style = "-" if name not in b_models.SIMPLE else ":"
        axes.plot(table.index, table[name], style, marker="osD^vPX"[i], label=name, ms=5)
    ticks = [f"{name} ({int(size)})" for name, size in sizes.items()]
    axes.set_xticks(range(len(ticks)), ticks, rotation=45, ha="right")
    axes.set(ylabel="F1", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    alt = f"F1 of each class of {data}, identifiers masked, later sessions as the test"
    return (
        images.save(figure, f"{data.lower()}-classes", alt)
        + f"\n\n{alt}; training sessions in brackets."
    )


def ablation(data, rows):
    """Tables 4 and 5, and the losses, as one table."""
    chosen = rows[rows["model"].isin(b_models.VARIANTS)]
    order = [m for m in b_models.VARIANTS if m in set(chosen.model)]
    names = {FULL: "differential attention, focal loss (the paper's)"} | {
        "without differential attention": "no attention, focal loss",
        "cross-entropy": "differential attention, cross-entropy",
        "pre-trained": "the paper's, BERT pre-trained on other networks' captures",
    }
    table = pd.DataFrame(index=pd.Index([names[m] for m in order], name="model"))
    paper = PAPER_ABLATION[data]
    table["paper P / R / F1"] = [
        " / ".join(f"{v:.2f}" for v in paper[m]) if m in paper else "–" for m in order
    ]
    for place in ((True, "time"), (False, "random")):
        cells = spread(column(chosen, *place), "model", ["precision", "recall", "f1"])
        for score, short in (("precision", "P"), ("recall", "R"), ("f1", "F1")):
            table[f"{short}, {COLUMNS[place]}"] = list(cells[score].reindex(order).fillna("–"))
    return f"### With and without differential attention and focal loss\n\n{markdown(table)}"


def differences(rows, variant, place):
    """F1 of the full model less that of a variant, for the seeds with both."""
    f1 = column(rows, *place).pivot_table(index="seed", columns="model", values="f1")
    return (f1.get(FULL, np.nan) - f1.get(variant, np.nan) + 0 * f1.index).dropna()


def judged(name, gain):
    """Say in words what a paired difference over seeds shows."""
    if not len(gain):
        return f"{name} was not compared"
    one = len(gain) == 1
    every = "" if one else " with every seed"
    if (gain > 0).all():
        verdict = f"helps{every}"
    elif (gain < 0).all():
        verdict = f"does not help, the model without it is better{every}"
    else:
        verdict = "makes no difference that the seeds agree on"
    figure = f"{gain.mean():+.3f}" + (", one seed" if one else f" ± {gain.std():.3f}")
    return f"{name} {verdict} ({figure})"


def widest(rows, variant, place):
    """Name the class with the widest change of F1, which often is the whole difference."""
    table = class_table(column(rows, *place))
    if variant not in table:
        return ""
    change = table[FULL] - table[variant]
    name = change.abs().idxmax()
    return f", {name} most of all ({change[name]:+.2f})"


def ablation_words(rows):
    """Decide what differential attention and focal loss give."""
    sentences = []
    for place in ((True, "time"), (False, "random")):
        sentences.append(
            f"{COLUMNS[place].capitalize()}: "
            + judged(
                "differential attention",
                differences(rows, "without differential attention", place),
            )
            + widest(rows, "without differential attention", place)
            + "; "
            + judged("focal loss", differences(rows, "cross-entropy", place))
            + " against cross-entropy"
            + widest(rows, "cross-entropy", place)
            + "; "
            + judged("pre-training", -differences(rows, "pre-trained", place))
            + "."
        )
    return (
        "The paper claims +0.02 to +0.03 in F1 for differential attention, and gains by focal loss "
        "for classes with few sessions. " + " ".join(sentences)
    )


def focal_figure(data, rows, images):
    """Figures 8 and 9: F1 of each class with either loss."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(12, 4), sharey=True)
    for axes, place in zip(panels, ((True, "time"), (False, "random")), strict=True):
        chosen = column(rows, *place)
        table = class_table(chosen).loc[order_of_classes(chosen)]
        axes.plot(
            table.index, table["cross-entropy"], "o-", color="tab:orange", label="cross-entropy"
        )
        axes.plot(table.index, table[FULL], "s-", color="tab:blue", label="focal loss")
        axes.set_xticks(range(len(table)), table.index, rotation=60, ha="right", fontsize=8)
        axes.set(title=COLUMNS[place], ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("F1")
    panels[0].legend()
    figure.tight_layout()
    alt = f"F1 of each class of {data} with cross-entropy and with focal loss, few sessions left"
    return images.save(figure, f"{data.lower()}-focal", alt) + f"\n\n{alt}."


def focal_words(data, rows):
    """Decide whether the classes that the paper names gain by focal loss."""
    table = class_table(column(rows, True, "time"))
    gain = table[FULL] - table["cross-entropy"]
    named = ", ".join(f"{name} {gain[name]:+.3f}" for name in FEW[data])
    third = order_of_classes(column(rows, True, "time"))[: max(1, len(gain) // 3)]
    helped = few_gain(rows, data) > 0.02
    words = (
        f"The paper sees large gains by focal loss for {' and '.join(FEW[data])}. "
        f"{'So it is' if helped else 'Not so'} here: {named} (masked, in time); the third of the "
        f"classes with the fewest sessions {gain[third].mean():+.3f}, all classes "
        f"{gain.mean():+.3f}."
    )
    if data == "USTC":
        words += " The sessions that are to be had of this set are nearly as many in every class."
    return words


def claims(data, result):
    """List what the paper says of this set, beside the honest figures."""
    rows = result.rows
    honest, naive = column(rows, True, "time"), column(rows, False, "random")
    means = honest.groupby("model")["f1"].mean()
    rival, rival_f1 = best(honest, b_models.NETWORKS)
    simple, simple_f1 = best(honest, b_models.SIMPLE)
    paper = PAPER_ABLATION[data][FULL][2]
    attention = differences(rows, "without differential attention", (True, "time"))
    focal = differences(rows, "cross-entropy", (True, "time"))
    without = PAPER_ABLATION[data]["without differential attention"][2]
    naive_f1 = naive[naive.model == FULL]["f1"].mean()
    return [
        (
            f"{data}: {FULL} beats Deep Packet and CNN + LSTM",
            f"F1 {paper:.2f}",
            f"F1 {means[FULL]:.3f}, {rival} {rival_f1:.3f} (unmasked, random: {naive_f1:.3f})",
            bool(means[FULL] > rival_f1),
        ),
        (
            f"{data}: no simple model is as good (the paper tries none)",
            "–",
            f"{simple} {simple_f1:.3f}",
            "a draw" if abs(simple_f1 - means[FULL]) < DRAW else bool(simple_f1 < means[FULL]),
        ),
        (
            f"{data}: differential attention helps",
            f"{paper - without:+.2f}",
            f"{attention.mean():+.3f}",
            agreed(attention),
        ),
        (
            f"{data}: focal loss helps classes with few sessions",
            f"{' and '.join(FEW[data])} (figure)",
            f"{few_gain(rows, data):+.3f} for these, {focal.mean():+.3f} for all",
            bool(few_gain(rows, data) > 0.02),
        ),
    ]


def agreed(gain):
    """Tell whether all seeds gained; a single one is said to be one."""
    word = "yes" if (gain > 0).all() else "no" if (gain < 0).all() else "seeds differ"
    return word if len(gain) > 1 else f"{word} (one seed)"


def few_gain(rows, data):
    """F1 that the classes named by the paper gain by focal loss."""
    table = class_table(column(rows, True, "time"))
    return (table[FULL] - table["cross-entropy"])[FEW[data]].mean()
