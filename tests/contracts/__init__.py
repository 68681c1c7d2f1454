"""Every shipped connector, held to the contract of its kind."""
