"""The panels: each renders from the state and changes it; none knows another."""
