"""The client against a third party's contract server, and the sandbox against a third party's fuzzer."""
