"""The judge of canaries: what it sees, what it keeps, and what it does."""
