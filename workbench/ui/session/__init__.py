"""What a session knows: the state, its jobs, studies and cells. No widgets."""
