"""Training and measuring: the one loop, the stages of the recipe, the gate."""
