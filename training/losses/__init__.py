"""What is minimised: each loss cites its source and its tensors' shapes."""
