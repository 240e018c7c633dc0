"""The watch for drift: what has come so far of each running version, held against its bento's reference."""
