"""The documentation site: Sphinx pages, their Markdown twins, and the files for coding agents."""
