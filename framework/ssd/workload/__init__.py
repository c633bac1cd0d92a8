"""What a host asks for: generated workloads and recorded traces."""
