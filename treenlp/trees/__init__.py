"""Trees: the value itself, reading and writing it, changing its shape, drawing it."""
