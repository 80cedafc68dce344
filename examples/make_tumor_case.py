"""Make a labelled brain-tumour case that does not exist, and keep it on the server as a case.

    python examples/make_tumor_case.py 7 label.nii.gz [http://127.0.0.1:8000]        # seed 7
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (seed, target), server = command_line(__doc__, 2)
    wanted = {"seed": int(seed), "side": "left", "volume_ml": 40, "grade": 4}
    facts, label = server.infer("tumor_case_synthesis", {**wanted, "save": True, "result": "label"})
    Path(target).write_bytes(label)
    print(f"case {facts['image']}, seed {facts['seed']}; {facts['notice']}")


if __name__ == "__main__":
    main()
