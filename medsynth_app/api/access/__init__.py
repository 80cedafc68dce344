"""Who may call which route: login, roles, origins. One gate in front of everything."""
