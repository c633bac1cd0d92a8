"""Search over graphs: exact, edge by edge and order by order; orientation within an equivalence class."""
