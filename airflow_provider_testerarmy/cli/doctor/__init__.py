"""The command `doctor`: checks of the installation, the connections and the service, each with its remedy."""
