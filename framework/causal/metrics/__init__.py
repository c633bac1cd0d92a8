"""How close an estimated graph is to the true one."""
