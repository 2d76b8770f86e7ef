"""Search algorithms: a module or folder for each name that a recipe knows."""
