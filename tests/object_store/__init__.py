"""Memories, reports and pictures in a real object store."""
