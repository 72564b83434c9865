"""What is asked of a model: experiments, readouts, observations, scores."""
