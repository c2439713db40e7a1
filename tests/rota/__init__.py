"""The rota: its file, read strictly and judged as a whole; its edits; `stimfleet rota`."""
