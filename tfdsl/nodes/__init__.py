"""The kinds of node, a file each; the file's name is the kind."""
