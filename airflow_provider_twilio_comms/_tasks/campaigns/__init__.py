"""What the tasks do that keep to consent and to a frequency cap."""
