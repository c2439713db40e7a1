"""What people say at a terminal, a module for each word: `stimfleet stop`, `journal`, `user`, `rota` ..."""
