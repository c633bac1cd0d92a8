"""Documentation that is generated, and pages by hand."""
