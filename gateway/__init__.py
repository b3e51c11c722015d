"""How does it reach the world? The OpenAI HTTP API around one loop that acts."""
