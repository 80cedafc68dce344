"""Find a dermatoscopic photograph in the generator: photograph, reconstruction and difference side by side.

    python examples/find_skin_lesion.py photograph.png comparison.png [http://127.0.0.1:8000]
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (photograph, target), server = command_line(__doc__, 2)
    facts, picture = server.infer("skin_lesion_inversion", {"seed": 0, "picture": "comparison"}, file=photograph)
    Path(target).write_bytes(picture)
    print(f"squared error {facts['squared_error']:.4f}, perceptual distance {facts['perceptual_distance']:.3f}")


if __name__ == "__main__":
    main()
