"""What several commands share: their output, their import, a server as a process."""
