"""Looking at what was learnt: latents, anomalies, maps, clusters, neighbours, reports."""
