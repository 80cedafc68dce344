"""The database: engine, tables, migrations, questions about the knowledge base."""
