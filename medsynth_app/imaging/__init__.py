"""Images and their geometry: what every wing of the house opens on."""
