"""Make a skin lesion that nobody has.

    python examples/make_skin_lesion.py 7 melanoma lesion.png [http://127.0.0.1:8000]        # seed 7
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (seed, lesion_class, target), server = command_line(__doc__, 3)
    facts, picture = server.infer("skin_lesion_synthesis", {"seed": int(seed), "lesion_class": lesion_class})
    Path(target).write_bytes(picture)
    print(f"seed {facts['seed']}, {facts['conditions']}")


if __name__ == "__main__":
    main()
