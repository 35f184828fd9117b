"""What is said of the point where a search ended: the verdict, standard errors, the result."""
