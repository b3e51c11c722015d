"""How good, how dear, how slow would each expert be? Routers predict and choose nothing."""
