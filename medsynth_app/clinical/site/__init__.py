"""Where a tumour lies: atlas regions, components, distances."""
