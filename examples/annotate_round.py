"""One step of a round: take the case whose label teaches most, have it segmented, submit the label, see the round.

    python examples/annotate_round.py kim mask.nii.gz [http://127.0.0.1:8000]        # the annotator's name

Between segmenting and submitting a person corrects the mask; here it is submitted as the model made it.
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (annotator, mask), server = command_line(__doc__, 2)
    proposed = server.post("/activelearning/uncertain_and_diverse", {"client_id": annotator})
    if not proposed:
        raise SystemExit("every case is labelled or in somebody's hands")
    _, made = server.infer("brain_tumor_segmentation", {"result_extension": ".nii.gz"}, proposed["id"])
    Path(mask).write_bytes(made)
    kept = server.submit_label(proposed["id"], mask, annotator)
    print(f"{kept['image']}: label version {kept['version']}")
    rounds = server.get("/medsynth/api/rounds")["rounds"]
    print(f"round {rounds[-1]['round']}: {rounds[-1]['submitted']} labels of {rounds[-1]['annotators']}")


if __name__ == "__main__":
    main()
