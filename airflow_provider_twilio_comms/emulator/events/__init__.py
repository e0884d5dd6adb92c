"""Event Streams of the emulator."""
