"""What a spiking network costs and how it spikes."""
