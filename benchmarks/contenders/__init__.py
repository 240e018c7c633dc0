"""The servers that are compared: the code of each, as its own documentation would write it, and how it is started."""
