"""List hospitals for a tumour in a region of the brain, nearest and fittest first. Those shipped are invented.

    python examples/find_hospitals.py BROCA 37.5 127.0 [http://127.0.0.1:8000]
"""

from medsynth_server import command_line


def main() -> None:
    (region, latitude, longitude), server = command_line(__doc__, 3)
    found = server.get("/medsynth/api/hospitals", region=region, lat=latitude, lon=longitude, limit=5)
    for row in found["hospitals"]:
        print(f"{row['distance_km']:8.1f} km  {row['hospital']['name']}")


if __name__ == "__main__":
    main()
