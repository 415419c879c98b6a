"""One try of a task, from submission to verdict: the code that operators and sensors share."""
