"""MONAI Label's routes where the stock ones are unsafe or block: same paths, same answers, checked input."""
