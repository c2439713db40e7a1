"""The journal in full: power cuts, backup and restore, export, what cannot be read, and what old journals still say."""
