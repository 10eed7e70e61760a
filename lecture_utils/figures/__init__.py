"""What a reader sees: figures, tables, panels, and what a notebook does for its reader besides."""
