"""What runs leave to be looked at: their logs as curves, and the curves as pictures."""
