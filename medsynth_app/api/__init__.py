"""The front door: the only room that knows fastapi."""
