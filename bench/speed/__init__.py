"""What the gateway costs: its speed, instructions and memory, measured from outside against real processes."""
