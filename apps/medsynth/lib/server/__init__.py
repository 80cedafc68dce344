"""What stands between the network and MONAI Label's endpoints."""
