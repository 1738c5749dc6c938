"""index_templates."""
