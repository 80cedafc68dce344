"""Walk from a dermatoscopic photograph towards melanoma. A simulation: nobody's lesion was ever seen to do this.

    python examples/walk_skin_lesion.py photograph.png contact_sheet.png [http://127.0.0.1:8000]
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (photograph, target), server = command_line(__doc__, 2)
    wanted = {"seed": 0, "steps": 5, "alpha_to": 3}
    facts, picture = server.infer("skin_lesion_progression", wanted, file=photograph)
    Path(target).write_bytes(picture)
    for step in facts["steps"]:
        print(f"alpha {step['alpha']:5.2f}  probability of melanoma {step['melanoma_probability']:.2f}")
    print(facts["simulation"])


if __name__ == "__main__":
    main()
