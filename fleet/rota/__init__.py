"""Who is on call: `rota.json` entry by entry, whether it holds together as a whole, and its edits."""
