"""First recipes: a text with comments from the schema, and modules of one's own to begin with."""
