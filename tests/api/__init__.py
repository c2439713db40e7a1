"""The API: who may come in, and what becomes of those who may not."""
