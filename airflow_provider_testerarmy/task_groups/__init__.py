"""Task groups: a service's group of tests as many tasks with one submission."""
