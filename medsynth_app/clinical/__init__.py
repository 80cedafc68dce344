"""What the clinic adds to a mask: symptoms and regions, the cross-check, its database, and hospitals."""
