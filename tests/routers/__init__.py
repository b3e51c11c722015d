"""Tests of the room `routers`."""
