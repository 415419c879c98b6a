"""One try of a task: what operators and sensors share."""
