"""The model card and the note beside the sample, filled from the figures so that neither can drift from them."""

from __future__ import annotations

from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent


def write_card(figures: dict, output: Path) -> None:
    values = card_values(figures)
    for template, target in (("card.md.template", "README.md"), ("held-out.md.template", "held-out/README.md")):
        text = Template((HERE / template).read_text(encoding="utf-8")).substitute(values)
        (output / target).write_text(text, encoding="utf-8")


def card_values(figures: dict) -> dict[str, object]:
    split, model, training = figures["split"], figures["model"], figures["training"]
    recipe, held_out, sample = training["recipe"], figures["held_out"], figures["sample"]
    return {
        "package": figures["corpus"]["package"],
        "package_version": figures["corpus"]["version"],
        "corpus_mails": figures["corpus"]["mails"],
        "max_length": figures["max_length"],
        "figures_table": figures_table(figures),
        "group_table": group_table(figures),
        "confusion": confusion(held_out),
        "split_table": split_table(split),
        "jaccard": split["near_duplicate_jaccard"],
        "dropped": split["dropped_from_training_as_near_duplicates"]["n"],
        "strict": strict_paragraph(figures["strict"]),
        "layers": model["layers"], "hidden": model["hidden"], "heads": model["heads"],
        "intermediate": model["intermediate"], "vocab_size": model["vocab_size"],
        "parameters": f"{model['parameters'] / 1e6:.2f}",
        "epochs": recipe["epochs"], "batch_size": recipe["batch_size"],
        "best_epoch": best_epoch(training["history"]),
        "validation_f1": f"{max(training['history'], key=lambda e: -e['validation_loss'])['validation_f1']:.3f}",
        "minutes": round(training["minutes"]),
        "seed": recipe["seed"],
        "sample_n": sample["n"],
        "sample_groups": ", ".join(f"{group['n']} from `{name}`" for name, group in sample["groups"].items()),
        "sample_accuracy": with_interval(sample["accuracy"]),
        "sample_f1": with_interval(sample["f1"]),
        "sample_confusion": f"tp {sample['tp']}, fp {sample['fp']}, tn {sample['tn']}, fn {sample['fn']}",
        "accuracy": held_out["accuracy"]["value"], "precision": held_out["precision"]["value"],
        "recall": held_out["recall"]["value"], "f1": held_out["f1"]["value"],
        "hard_ham": hard_ham_sentence(held_out),
    }


def with_interval(figure: dict) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.4f} ({low:.4f} to {high:.4f})"


def figures_table(figures: dict) -> str:
    columns = {"held out": figures["held_out"], "held out, not masked": figures["held_out_unmasked"],
               "committed sample": figures["sample"]}
    if figures["strict"]:
        columns["strict variant"] = figures["strict"]["held_out"]
    rows = [["", *columns], ["---"] * (len(columns) + 1), ["mails", *(str(c["n"]) for c in columns.values())]]
    rows += [[name, *(with_interval(c[key]) for c in columns.values())]
             for name, key in (("accuracy", "accuracy"), ("precision", "precision"), ("recall", "recall"), ("F1", "f1"))]
    rows += [[name, *(str(c[key]) for c in columns.values())]
             for name, key in (("spam found (tp)", "tp"), ("ham called spam (fp)", "fp"), ("ham left alone (tn)", "tn"),
                               ("spam missed (fn)", "fn"))]
    return table(rows)


def group_table(figures: dict) -> str:
    rows = [["group", "mails", "right", "share right"], ["---"] * 4]
    rows += [[f"`{name}`", str(group["n"]), str(group["right"]), with_interval(group["accuracy"])]
             for name, group in figures["held_out"]["groups"].items()]
    return table(rows)


def confusion(held_out: dict) -> str:
    return table([["", "called ham", "called spam"], ["---"] * 3,
                  ["is ham", str(held_out["tn"]), str(held_out["fp"])],
                  ["is spam", str(held_out["fn"]), str(held_out["tp"])]])


def split_table(split: dict) -> str:
    parts = {"training": "train", "validation": "validation",
             "dropped from training": "dropped_from_training_as_near_duplicates", "held out": "held_out"}
    groups = ("spam-1", "easy-ham-1", "spam-2", "easy-ham-2", "hard-ham-1")
    rows = [["part", *(f"`{group}`" for group in groups), "all"], ["---"] * (len(groups) + 2)]
    rows += [[name, *(str(split[key].get(group, 0)) for group in groups), str(split[key]["n"])]
             for name, key in parts.items()]
    return table(rows)


def table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def best_epoch(history: list[dict]) -> int:
    return min(history, key=lambda epoch: (epoch["validation_loss"], -epoch["epoch"]))["epoch"]


def strict_paragraph(strict: dict | None) -> str:
    if strict is None:
        return (
            "Training on `spam-1` and `easy-ham-1` alone and testing on the whole of the other three groups is the "
            "harder question. It was not answered for this card; `python train.py` runs that variant first."
        )
    held_out, split = strict["held_out"], strict["split"]
    groups = ", ".join(f"`{name}` {group['right']} of {group['n']}" for name, group in held_out["groups"].items())
    return (
        f"A model trained the same way on `spam-1` and `easy-ham-1` alone ({split['train']['n']} mails, after "
        f"{split['dropped_from_training_as_near_duplicates']['n']} near-duplicates left) and tested on the whole of "
        f"the other three groups ({held_out['n']} mails) reaches an accuracy of {with_interval(held_out['accuracy'])} "
        f"and an F1 of {with_interval(held_out['f1'])}. Right by group: {groups}. It has met neither the later "
        "collection nor any newsletter of `hard-ham-1`, and is the more honest number for mail from elsewhere."
    )


def hard_ham_sentence(held_out: dict) -> str:
    group = held_out["groups"]["hard-ham-1"]
    wrong = group["n"] - group["right"]
    return f"{wrong} of {group['n']} held-out mails of `hard-ham-1`, mostly newsletters, are called spam"
