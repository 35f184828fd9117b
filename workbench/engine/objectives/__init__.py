"""What is minimised: the likelihood of every subject and its approximations, with exact gradients."""
