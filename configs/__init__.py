"""The configuration: its schema, recipes and loading, and what every other package needs: errors, logging, paths."""
